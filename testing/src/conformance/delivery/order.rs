//! Which facts come, and when.

use std::sync::Arc;

use super::recorder::{Recorder, ids, journal};
use crate::conformance::DeliveryBench;

/// "Facts come in order and one at a time", each, and to every hook.
pub async fn facts_come_in_order_and_one_at_a_time(bench: &impl DeliveryBench) {
    let hooks = ["one", "two"].map(Recorder::plain);
    let given = hooks.iter().map(|hook| Arc::clone(hook) as _).collect();
    let farm = bench.start(given).await;
    let builds = ids(20);
    for some in builds.chunks(7) {
        farm.submit(some).await;
    }
    farm.cancel(&builds[3..6]).await;
    let last = ids(1);
    farm.submit(&last).await;
    let history = farm.history();
    for hook in &hooks {
        hook.hears_of(last[0]).await;
        hook.check_turns();
        let heard = hook.facts();
        let all = journal(&*history).await;
        let from = all.iter().position(|fact| fact.number == heard[0].number);
        let from = from.expect("it was written");
        assert_eq!(heard, all[from..from + heard.len()], "{hook:?}");
        assert_eq!(hook.submitted(), [&builds[..], &last].concat(), "{hook:?}");
        assert!(
            hook.seen().iter().all(|delivery| delivery.tries == 0),
            "{hook:?}"
        );
    }
}

/// What a hook hears of is written: its history shows it.
pub async fn facts_are_written_before_they_come(bench: &impl DeliveryBench) {
    let hook = Recorder::plain("hook");
    let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
    for build in ids(5) {
        farm.submit(&[build]).await;
        hook.hears_of(build).await;
        hook.check_written();
    }
}
