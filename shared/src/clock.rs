//! The only clock and the only source of randomness. Two implementations of each run: the system's, and a test's. What is
//! measured goes the same way, so that it carries the same time.

use std::{fmt::Debug, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    metrics::{Dimension, Measurement, Meter, Metric},
    timestamp::Timestamp,
};

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes.
pub trait Random: Debug + Send + Sync {
    /// Fills a buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's clock and generator.
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

/// Clock, randomness and meter, as everything below takes them.
#[derive(Debug, Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    meter: Meter,
}

impl World {
    /// The real one.
    pub fn system() -> Self {
        Self::new(Arc::new(System), Arc::new(System))
    }

    /// Any other. Measures nothing.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, meter: Meter::none() }
    }

    /// The same one, with this meter.
    #[must_use]
    pub fn metered(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// Measures now: all values at once, split by these dimensions.
    pub fn measure(&self, values: &[(Metric, f64)], dimensions: &[(Dimension, &str)]) {
        self.meter.take(Measurement { at: self.now(), values, dimensions });
    }

    /// Counts one thing that is split by nothing.
    pub fn count(&self, metric: Metric) {
        self.measure(&[(metric, 1.0)], &[]);
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
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

    /// A short random name for one conditional write or one claim.
    pub fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<9>())
    }
}
