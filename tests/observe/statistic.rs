//! Statistics of the samples of one period.

/// A statistic, by CloudWatch's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    Sum,
    Average,
    Minimum,
    Maximum,
    SampleCount,
    Percentile(f64),
}

impl Statistic {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Sum" => Self::Sum,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "SampleCount" => Self::SampleCount,
            _ => Self::Percentile(name.strip_prefix('p')?.parse().ok().filter(|p| (0.0..=100.0).contains(p))?),
        })
    }

    /// `None` for a period without samples: that is missing data, not zero.
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 samples")]
    pub(crate) fn of(self, samples: &[f64]) -> Option<f64> {
        if samples.is_empty() {
            return None;
        }
        let sum = || samples.iter().sum::<f64>();
        Some(match self {
            Self::Sum => sum(),
            Self::Average => sum() / samples.len() as f64,
            Self::Minimum => samples.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Maximum => samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::SampleCount => samples.len() as f64,
            Self::Percentile(p) => percentile(samples, p),
        })
    }
}

/// Between the two nearest ranks, as most implementations do; CloudWatch does not publish its own, which is close to
/// it.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small ranks")]
fn percentile(samples: &[f64], p: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = p / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, samples: &[f64]) -> Option<f64> {
        Statistic::parse(name).unwrap().of(samples)
    }

    #[test]
    fn each_statistic_is_what_its_name_says() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        for (name, value) in [("Sum", 10.0), ("Average", 2.5), ("Minimum", 1.0), ("Maximum", 4.0), ("SampleCount", 4.0)]
        {
            assert_eq!(of(name, &samples), Some(value), "{name}");
        }
    }

    #[test]
    fn a_percentile_lies_between_the_nearest_ranks() {
        let hundred: Vec<f64> = (0..=100).map(f64::from).rev().collect();
        assert_eq!((of("p95", &hundred), of("p99.5", &hundred)), (Some(95.0), Some(99.5)));
        assert_eq!(
            (of("p0", &[7.0]), of("p50", &[1.0, 2.0]), of("p100", &[1.0, 2.0])),
            (Some(7.0), Some(1.5), Some(2.0))
        );
    }

    #[test]
    fn no_samples_are_missing_and_not_zero() {
        for name in ["Sum", "Average", "Minimum", "Maximum", "SampleCount", "p99"] {
            assert_eq!(of(name, &[]), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_statistic_is_refused() {
        for name in ["sum", "p", "p101", "p-1", "Median", ""] {
            assert_eq!(Statistic::parse(name), None, "{name}");
        }
    }
}
