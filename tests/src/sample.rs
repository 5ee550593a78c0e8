//! The sample of a fault sweep that a test run takes: a part per change, everything in `make soak`.

use platform::runtime::Runtime;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A choice among the numbered cases of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    whole: bool,
    seed: u64,
}

impl Sample {
    /// The sample of this run, printed with the command that repeats it. `SOAK=1` takes every case. `SAMPLE_SEED`
    /// chooses the sample; without it the day does, so that each case of a sweep runs within a few days.
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
    pub fn of_this_run() -> Self {
        let day = Runtime::system().now().millis() / DAY_MS;
        let seed = std::env::var("SAMPLE_SEED").ok().map(|text| text.parse().expect("SAMPLE_SEED is a number"));
        let sample = Self {
            whole: std::env::var("SOAK").is_ok_and(|value| value == "1"),
            seed: seed.unwrap_or_else(|| day.unsigned_abs()),
        };
        if sample.whole {
            eprintln!("every case (SOAK=1)");
        } else {
            eprintln!("a sample of the cases: repeat with SAMPLE_SEED={}, take all with SOAK=1", sample.seed);
        }
        sample
    }

    /// Of a number that is expected over all cases, the part that a sample of one in `one_in` has at the least.
    pub const fn share(&self, of_all: usize, one_in: usize) -> usize {
        if self.whole { of_all } else { of_all / one_in }
    }

    /// Whether a case is taken, where one in `one_in` is.
    pub const fn takes(&self, case: u64, one_in: u64) -> bool {
        self.whole || self.seed.wrapping_add(case).is_multiple_of(one_in)
    }
}
