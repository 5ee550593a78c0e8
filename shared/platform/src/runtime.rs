//! The only clock and the only source of randomness, each with an implementation of the system and one for tests.
//! Measurements go through the same value, so that they have the same time.

use std::{fmt::Debug, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::metrics::{Dimension, Measurement, Meter, Metric};
use domain::ids::Timestamp;

const A_DAY_MS: u64 = 86_400_000;

/// A clock.
pub trait Clock: Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// A source of random bytes.
pub trait Random: Debug + Send + Sync {
    /// Fills a buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's clock and random generator.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Random for System {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel's generator answers once it is seeded at boot");
    }
}

/// Clock, randomness and meter, passed to all code that needs them.
#[derive(Debug, Clone)]
pub struct Runtime {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    meter: Meter,
}

impl Runtime {
    /// Of the system; measures nothing.
    pub fn system() -> Self {
        Self::new(Arc::new(System), Arc::new(System))
    }

    /// With another clock and source of randomness; measures nothing.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, meter: Meter::none() }
    }

    /// The same runtime with this meter.
    #[must_use]
    pub fn metered(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// Measures several values at the current time, with these dimensions.
    pub fn measure(&self, values: &[(Metric, f64)], dimensions: &[(Dimension, &str)]) {
        self.meter.take(Measurement { at: self.now(), values, dimensions });
    }

    /// Counts one event without dimensions.
    pub fn count(&self, metric: Metric) {
        self.measure(&[(metric, 1.0)], &[]);
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Deadline of an invocation, from the runtime API's header in milliseconds since 1970. `cargo lambda` sends a
    /// duration instead, always ten minutes; a value below one day is a duration. Zero means over in both.
    pub fn deadline(&self, told: u64) -> Timestamp {
        if told < A_DAY_MS {
            return self.now().plus(Duration::from_millis(told));
        }
        Timestamp::from_millis(i64::try_from(told).unwrap_or(0))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A uniform 64-bit number.
    pub fn number(&self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A short random value for one conditional write or one claim.
    pub fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<9>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stopped(Timestamp);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn a_deadline_is_a_time_and_from_cargo_lambda_a_while() {
        let now = Timestamp::from_millis(1_795_341_600_000);
        let runtime = Runtime::new(Arc::new(Stopped(now)), Arc::new(System));
        let left = |told| runtime.deadline(told).since(now).as_millis();
        assert_eq!(left(1_795_341_630_000), 30_000);
        assert_eq!(left(600_000), 600_000);
        // Deadlines that have passed or cannot be represented.
        for told in [0, 1_795_341_600_000, 1_795_341_599_999, A_DAY_MS, u64::MAX] {
            assert_eq!(left(told), 0, "{told}");
        }
    }
}
