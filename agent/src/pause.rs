//! Waiting for a time to pass.

use std::time::Duration;

use grange_interfaces::Clock;

/// Returns after about `duration`; a [`Clock`]'s own sleep may end early. Where the clock is set
/// back meanwhile, it takes twice as long at most.
pub(crate) async fn pause(clock: &dyn Clock, duration: Duration) {
    let mut last = clock.now();
    let mut rest = duration;
    while !rest.is_zero() {
        clock.sleep(rest).await;
        let now = clock.now();
        if now < last {
            // How much of it has passed is not known: it is waited for once more.
            clock.sleep(rest).await;
            return;
        }
        rest = rest.saturating_sub(now.since(last));
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use grange_model::Timestamp;

    use super::*;

    /// Wakes up early, and is set back where the script says so.
    #[derive(Debug)]
    struct Restless(Mutex<(Vec<i64>, u64, Vec<Duration>)>);

    #[async_trait]
    impl Clock for Restless {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.lock().unwrap().1)
        }

        async fn sleep(&self, duration: Duration) {
            let (steps, now, slept) = &mut *self.0.lock().unwrap();
            slept.push(duration);
            *now = now.saturating_add_signed(steps.pop().unwrap_or(1000));
        }
    }

    async fn slept(mut steps: Vec<i64>) -> Vec<u64> {
        steps.reverse();
        let clock = Restless(Mutex::new((steps, 1_000_000, Vec::new())));
        pause(&clock, Duration::from_millis(100)).await;
        let slept = clock.0.into_inner().unwrap().2;
        slept
            .iter()
            .map(|duration| u64::try_from(duration.as_millis()).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn goes_on_until_the_time_has_passed() {
        assert_eq!(slept(vec![100]).await, [100]);
        assert_eq!(slept(vec![30, 30, 40]).await, [100, 70, 40]);
        assert_eq!(slept(vec![30, -5000, 70]).await, [100, 70, 70]);
    }
}
