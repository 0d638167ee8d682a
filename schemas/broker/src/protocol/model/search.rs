//! The search itself: breadth first over all worlds, then backwards from the good ends.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use super::Scenario;
use super::canon::number;
use super::moves::Move;
use super::world::World;

/// What a search came to.
pub(super) struct Report {
    pub(super) states: usize,
    pub(super) moves: usize,
    /// The bound was reached before the end.
    pub(super) cut: bool,
    /// What was violated, and the shortest way there.
    pub(super) violation: Option<(String, String)>,
}

struct Search<'a> {
    scenario: &'a Scenario,
    known: HashMap<u128, u32>,
    /// How each world was first reached.
    came_from: Vec<(u32, Option<Move>)>,
    /// Moves that need neither a fault nor a client's choice.
    ways: Vec<(u32, u32)>,
    good: Vec<u32>,
    queue: VecDeque<(u32, World)>,
}

/// Explores up to `most` worlds.
pub(super) fn search(scenario: &Scenario, most: usize) -> Report {
    let start = World::new(scenario);
    let mut search = Search {
        scenario,
        known: HashMap::from([(number(scenario, &start), 0)]),
        came_from: vec![(0, None)],
        ways: Vec::new(),
        good: Vec::new(),
        queue: VecDeque::from([(0, start)]),
    };
    let (mut moves, mut violation) = (0, None);
    while let Some((from, world)) = search.queue.pop_front() {
        if world.is_good(scenario) {
            search.good.push(from);
        }
        for mv in world.moves(scenario) {
            moves += 1;
            let (to, broken) = search.follow(from, &world, mv);
            if let Some(what) = broken {
                violation = Some((what, search.trace(to)));
                break;
            }
        }
        if violation.is_some() || search.known.len() >= most {
            break;
        }
    }
    let cut = violation.is_none() && !search.queue.is_empty();
    if violation.is_none() {
        violation = search.stuck();
    }
    Report { states: search.known.len(), moves, cut, violation }
}

impl Search<'_> {
    fn follow(&mut self, from: u32, world: &World, mv: Move) -> (u32, Option<String>) {
        let mut next = world.clone();
        next.apply(self.scenario, mv);
        let fresh = u32::try_from(self.came_from.len()).unwrap_or(u32::MAX);
        let to = *self.known.entry(number(self.scenario, &next)).or_insert(fresh);
        if !World::is_fault(mv, mv == Move::Tick && world.pauses_by_tick()) {
            self.ways.push((to, from));
        }
        let mut broken = None;
        if to == fresh {
            self.came_from.push((from, Some(mv)));
            broken = next.violation();
            self.queue.push_back((to, next));
        }
        (to, broken)
    }

    /// P5, P7: from everywhere a good end can be reached without a fault, a cancel or luck.
    fn stuck(&mut self) -> Option<(String, String)> {
        let mut back: HashMap<u32, Vec<u32>> = HashMap::new();
        for (to, from) in self.ways.drain(..) {
            back.entry(to).or_default().push(from);
        }
        let mut reached = vec![false; self.came_from.len()];
        let mut todo: Vec<u32> = self.good.drain(..).chain(self.queue.iter().map(|(open, _)| *open)).collect();
        while let Some(state) = todo.pop() {
            if !std::mem::replace(&mut reached[state as usize], true) {
                todo.extend(back.get(&state).into_iter().flatten());
            }
        }
        let stuck = reached.iter().position(|reached| !reached)?;
        let stuck = u32::try_from(stuck).unwrap_or(u32::MAX);
        Some(("P5, P7: from here no way leads to the end".to_owned(), self.trace(stuck)))
    }

    /// The way to a world, in words.
    fn trace(&self, to: u32) -> String {
        let mut moves = Vec::new();
        let mut state = to;
        while let (from, Some(mv)) = self.came_from[state as usize] {
            moves.push(mv);
            state = from;
        }
        let (mut world, mut words) = (World::new(self.scenario), String::new());
        for (step, mv) in moves.iter().rev().enumerate() {
            let _ = writeln!(words, "{:3}. [{}s] {}", step + 1, world.now, world.words(*mv));
            world.apply(self.scenario, *mv);
        }
        words
    }
}
