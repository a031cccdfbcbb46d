//! How long to go on asking.

use std::time::Duration;

use grange_interfaces::Refusal;

/// The first pause where the coordinator names none.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// What is left of a client's patience for one question. Measured in the pauses themselves, so that no clock is read.
#[derive(Debug)]
pub(super) struct Patience {
    whole: Duration,
    left: Duration,
    next: Duration,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        Self {
            whole,
            left: whole,
            next: FIRST,
        }
    }

    /// Things go on: what comes next is a new question.
    pub(super) fn renew(&mut self) {
        *self = Self::new(self.whole);
    }

    /// Pauses after a refusal if asking again may help and patience is left; gives the refusal back otherwise.
    pub(super) async fn pause(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        let wait = self.wait(&refusal).ok_or(refusal)?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn wait(&mut self, refusal: &Refusal) -> Option<Duration> {
        if !refusal.is_transient() || self.left.is_zero() {
            return None;
        }
        let asked = refusal
            .retry_after_ms
            .map_or(self.next, Duration::from_millis);
        let wait = asked
            .clamp(Duration::from_millis(1), LONGEST)
            .min(self.left);
        self.left -= wait;
        self.next = (self.next * 2).min(LONGEST);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use grange_interfaces::Fault;

    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut patience = Patience::new(Duration::from_secs(20));
        let busy = Refusal::new(Fault::Busy, "not reached");
        let waits: Vec<u128> = std::iter::from_fn(|| patience.wait(&busy))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 3700]);
        patience.renew();
        assert_eq!(
            patience
                .wait(&Refusal::busy("full", Duration::from_millis(30)))
                .unwrap()
                .as_millis(),
            30
        );
    }

    #[test]
    fn what_will_not_change_is_not_asked_again() {
        let mut patience = Patience::new(Duration::from_secs(20));
        assert_eq!(patience.wait(&Refusal::new(Fault::Caller, "no")), None);
        assert_eq!(
            Patience::new(Duration::ZERO).wait(&Refusal::new(Fault::Busy, "later")),
            None
        );
    }
}
