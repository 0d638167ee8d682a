//! The cut as requests that follow each other see it: each keeps what the one before was cut to until it does not fit any
//! more. So whoever replays a conversation from its first message, with a memory, comes to the cut that is made without.

use super::*;

/// What a conversation up to some message is cut to.
#[derive(Debug, Clone)]
struct Seen {
    end: usize,
    kept: Vec<usize>,
    cleared: Vec<usize>,
    plan: Plan,
}

fn seen(messages: &[Message], costs: &[u64], budget: &Budget, end: usize) -> Option<Seen> {
    // Where calls wait, or nobody has asked, there is no request.
    let plan = plan_of(&messages[..end], &costs[..end], budget);
    let is_request =
        !matches!(plan, Err(Refusal::Unpaired(_) | Refusal::NoUser)) && newest_user(&messages[..end]).is_some();
    let plan = plan.ok().filter(|_| is_request)?;
    Some(Seen { end, kept: kept_of(&plan, end), cleared: cleared_of(&plan), plan })
}

/// Whether `later` still begins with what `earlier` was.
fn goes_on(earlier: &Seen, later: &Seen) -> bool {
    let of = |all: &[usize]| all.iter().copied().filter(|index| *index < earlier.end).collect::<Vec<_>>();
    of(&later.kept) == earlier.kept && of(&later.cleared) == earlier.cleared
}

fn tokens_of(costs: &[u64], kept: &[usize], cleared: &[usize]) -> u64 {
    let cost = |index: &usize| if cleared.contains(index) { CLEARED } else { costs[*index] };
    OVERHEAD + kept.iter().map(cost).sum::<u64>()
}

fn check_steps(messages: &[Message], costs: &[u64], budget: &Budget) -> Result<(), TestCaseError> {
    let mut before: Option<Seen> = None;
    let mut answered: Option<Seen> = None;
    for end in 1..=messages.len() {
        let Some(now) = seen(messages, costs, budget, end) else { continue };
        if let Some(before) = &before {
            let kept: Vec<_> = before.kept.iter().copied().chain(before.end..end).collect();
            let fits = tokens_of(costs, &kept, &before.cleared) <= budget.limit();
            prop_assert!(!fits || goes_on(before, &now), "from {} to {}", before.end, end);
            prop_assert!(fits != (kept != now.kept || before.cleared != now.cleared), "from {} to {}", before.end, end);
            let is_less = |now: &[usize], before: &[usize]| now.iter().all(|index| before.contains(index));
            prop_assert!(is_less(&now.kept, &kept), "what was dropped comes back");
        }
        if let Some(answered) = &answered {
            prop_assert_eq!(now.plan.report.prefix_stable, goes_on(answered, &now), "at {}", end);
        }
        if messages.get(end).is_some_and(|next| next.role == Role::Assistant) {
            answered = Some(now.clone());
        }
        before = Some(now);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_cut_stays_until_the_budget_is_full(
        (messages, costs) in priced(60, 0), budget in any_budget(), share in 5_u64..90,
    ) {
        let (messages, costs) = from_first_user(&messages, &costs);
        let clear = budget.clear.clone().map(|clear| Clearing { trigger: None, ..clear });
        check_steps(messages, costs, &Budget { room: share_of(costs, share), clear, ..budget })?;
    }
}
