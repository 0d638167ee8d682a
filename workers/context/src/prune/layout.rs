//! A conversation as turns, and what each of its messages costs.

use schemas::chat::{Message, Role};

use super::clear::{Cleared, Clearer};
use super::marks;
use super::pairs::Pairs;
use super::turn::{Turn, begins_turn};
use crate::budget::Clearing;

/// A conversation, laid out.
#[derive(Debug)]
pub(super) struct Layout {
    /// Its messages.
    pub(super) steps: Vec<Step>,
    /// What comes and goes whole, oldest first. The first has no user when the conversation does not begin with one.
    pub(super) turns: Vec<Turn>,
    /// The last message of a turn that bears a mark of a prompt cache.
    pub(super) marked: Option<usize>,
}

/// One message.
#[derive(Debug)]
pub(super) struct Step {
    /// The turn that it is part of; system messages are part of none, and always sent.
    pub(super) turn: Option<usize>,
    /// The model wrote it.
    pub(super) answers: bool,
    /// Its tokens.
    pub(super) cost: u64,
    /// It with its tool results cleared, where there is something to clear.
    pub(super) cleared: Option<Cleared>,
    /// It is cleared when so many of the conversation's tool uses may be.
    pub(super) uses: usize,
    /// Tool uses up to here, those of turns that cannot be sent left out.
    pub(super) calls: usize,
    /// A request may end here: some user has spoken, and no tool call waits.
    pub(super) is_settled: bool,
}

impl Layout {
    /// Lays out `messages`, of which each costs what stands at its place in `costs`. With `clearing`, also what is
    /// cleared of them, which costs what `price` says.
    pub(super) fn of(
        messages: &[Message],
        costs: &[u64],
        clearing: Option<&Clearing>,
        price: impl Fn(usize, &Message) -> u64,
    ) -> Self {
        let steps = Vec::with_capacity(messages.len());
        let clearer = clearing.map(|clearing| Clearer::new(clearing, price));
        let (turns, pairs) = (Vec::new(), Pairs::default());
        let mut reader = Reader { clearer, steps, turns, pairs, open: None, calls: 0, uses: 0, marked: None };
        for (message, cost) in messages.iter().zip(costs) {
            reader.read(message, *cost);
        }
        reader.close();
        Self { steps: reader.steps, turns: reader.turns, marked: reader.marked }
    }

    /// The turn of the newest user, if there is a user at all.
    pub(super) fn newest(&self) -> Option<&Turn> {
        self.turns.last().filter(|turn| turn.has_user)
    }
}

/// A conversation that is being read.
struct Reader<'a, P> {
    clearer: Option<Clearer<'a, P>>,
    steps: Vec<Step>,
    turns: Vec<Turn>,
    pairs: Pairs<'a>,
    open: Option<Open>,
    /// Tool calls so far.
    calls: usize,
    /// Tool uses that what can be cleared so far is part of.
    uses: usize,
    marked: Option<usize>,
}

/// A turn that is being read.
#[derive(Clone, Copy)]
struct Open {
    start: usize,
    has_user: bool,
    /// `calls` and `uses` before it.
    before: (usize, usize),
}

impl<'a, P: Fn(usize, &Message) -> u64> Reader<'a, P> {
    fn read(&mut self, message: &'a Message, cost: u64) {
        let mut cleared = None;
        if !message.role.is_system() {
            cleared = self.read_turn(message).filter(|cleared| cleared.cost < cost);
            self.uses = cleared.as_ref().map_or(self.uses, |cleared| self.uses.max(cleared.uses));
        }
        let turn = (!message.role.is_system()).then_some(self.turns.len());
        self.steps.push(Step {
            turn,
            answers: message.role == Role::Assistant,
            cost,
            cleared,
            uses: self.uses,
            calls: self.calls,
            is_settled: self.open.is_some_and(|open| open.has_user) && self.pairs.is_settled(),
        });
    }

    /// Adds the message to its turn.
    fn read_turn(&mut self, message: &'a Message) -> Option<Cleared> {
        let index = self.steps.len();
        let begins = begins_turn(message);
        if begins {
            self.close();
        }
        if self.open.is_none() {
            self.open = Some(Open { start: index, has_user: begins, before: (self.calls, self.uses) });
            self.pairs.begin();
        }
        if marks::is_marked(message) {
            self.marked = Some(index);
        }
        let first_call = self.calls;
        self.pairs.read(index, message, &mut self.calls);
        self.clearer.as_mut()?.clear(index, message, &self.pairs, first_call)
    }

    /// The turn that is being read ends here. If it cannot be sent, its tool uses do not count.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let fault = self.pairs.fault();
        if fault.is_some() || !open.has_user {
            (self.calls, self.uses) = open.before;
        }
        self.turns.push(Turn { messages: open.start..self.steps.len(), fault, has_user: open.has_user });
    }
}
