//! Backoff with full jitter: uniform between zero and `min(cap, base · 2^attempt)`.

use std::time::Duration;

/// Base and cap of a backoff.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Upper limit of the first delay.
    pub base: Duration,
    /// Upper limit of every delay.
    pub cap: Duration,
}

impl Backoff {
    /// Between two attempts of a step whose call did not start or may be repeated.
    pub const RETRY: Self = Self { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
    /// Between two polls of a running call.
    pub const CHECK: Self = Self { base: Duration::from_secs(1), cap: Duration::from_secs(120) };
    /// Between two wake-up messages that the reconciler sends for one job.
    pub const SWEEP: Self = Self { base: Duration::from_secs(60), cap: Duration::from_secs(3600) };

    /// Upper limit of the delay after `attempt` attempts, counted from 0.
    pub fn ceiling(self, attempt: u32) -> Duration {
        self.base.checked_mul(2_u32.saturating_pow(attempt)).map_or(self.cap, |ceiling| ceiling.min(self.cap))
    }

    /// The delay after `attempt` attempts of which half is fixed, where each attempt costs something that is limited;
    /// `random` is uniform over its type.
    pub fn wait_at_least_half(self, attempt: u32, random: u64) -> Duration {
        self.ceiling(attempt) / 2 + self.wait(attempt, random) / 2
    }

    /// The delay after `attempt` attempts; `random` is uniform over its type.
    pub fn wait(self, attempt: u32, random: u64) -> Duration {
        let ceiling = u64::try_from(self.ceiling(attempt).as_millis()).unwrap_or(u64::MAX - 1);
        // 128-bit multiply-shift: uniform in 0..=ceiling without the bias of a remainder.
        let millis = (u128::from(random) * u128::from(ceiling + 1)) >> 64;
        Duration::from_millis(u64::try_from(millis).unwrap_or(ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<u64> = (0..8).map(|n| Backoff::RETRY.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(Backoff::RETRY.ceiling(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn the_jitter_is_full() {
        assert_eq!(Backoff::RETRY.wait(3, 0), Duration::ZERO);
        assert_eq!(Backoff::RETRY.wait(3, u64::MAX), Duration::from_secs(8));
        assert_eq!(Backoff::RETRY.wait(3, u64::MAX / 2), Duration::from_secs(4));
    }
}
