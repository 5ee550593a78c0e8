//! Capacity units that the requests of this process have consumed.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units that this process has consumed, in thousandths, for the published figures.
#[derive(Debug, Default)]
pub struct Consumed {
    pub(crate) write: AtomicU64,
    pub(crate) read: AtomicU64,
}

impl Consumed {
    /// Write units consumed so far.
    pub fn write_units(&self) -> f64 {
        Self::units(&self.write)
    }

    /// Read units consumed so far.
    pub fn read_units(&self) -> f64 {
        Self::units(&self.read)
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of thousandths stays far below 2^53")]
    fn units(counter: &AtomicU64) -> f64 {
        counter.load(Ordering::Relaxed) as f64 / 1000.0
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units are small and positive")]
    pub(crate) fn add(counter: &AtomicU64, capacity: Option<&ConsumedCapacity>) {
        let units = capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0);
        counter.fetch_add((units * 1000.0).round() as u64, Ordering::Relaxed);
    }
}
