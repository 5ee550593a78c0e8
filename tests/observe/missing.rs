//! From data points to a state: how many must breach, and what is made of those that are missing.
//!
//! CloudWatch looks further back than an alarm evaluates: here two periods, as in the tables of its own documentation
//! ("How alarm state is evaluated when data is missing"), whose rows are the tests below. So data that stops does not
//! count as missing before the points that are still in range have moved out of it.

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Alarm,
    InsufficientData,
}

/// What an alarm makes of missing data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl Treatment {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "missing" => Self::Missing,
            "ignore" => Self::Ignore,
            "breaching" => Self::Breaching,
            "notBreaching" => Self::NotBreaching,
            _ => return None,
        })
    }
}

/// How many periods an alarm reads in addition to those that it evaluates.
pub(crate) const LOOKS_BACK: usize = 2;

/// Decides. `points` are the periods in range, the oldest first: `None` is missing, else whether it breaches. At least
/// `m` of `n` must breach. `before` is the state so far.
pub(crate) fn decide(points: &[Option<bool>], n: usize, m: usize, missing: Treatment, before: State) -> State {
    let real: Vec<bool> = points.iter().filter_map(|point| *point).collect();
    let state = |alarm: bool| if alarm { State::Alarm } else { State::Ok };
    let breaching = |points: &[bool]| points.iter().filter(|breaches| **breaches).count();
    if real.len() >= n {
        return state(breaching(&real[real.len() - n..]) >= m);
    }
    match missing {
        Treatment::NotBreaching => state(breaching(&real) >= m),
        Treatment::Breaching => state(breaching(&real) + (n - real.len()) >= m),
        Treatment::Missing | Treatment::Ignore if breaching(&real) >= m => State::Alarm,
        Treatment::Missing | Treatment::Ignore if real.iter().any(|breaches| !breaches) => State::Ok,
        // All that is there breaches, and there is less of it than it takes.
        Treatment::Ignore => before,
        Treatment::Missing if real.is_empty() => State::InsufficientData,
        Treatment::Missing => {
            let oldest = points.iter().position(Option::is_some).map_or(0, |place| points.len() - place);
            state(oldest >= m)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: State = State::InsufficientData;
    const TREATMENTS: [Treatment; 4] =
        [Treatment::Missing, Treatment::Ignore, Treatment::Breaching, Treatment::NotBreaching];

    /// `0` is within the threshold, `X` breaches it, `-` is missing.
    fn decided(row: &str, m: usize) -> [State; 4] {
        let points: Vec<Option<bool>> = row
            .split(' ')
            .map(|point| match point {
                "-" => None,
                point => Some(point == "X"),
            })
            .collect();
        TREATMENTS.map(|missing| decide(&points, 3, m, missing, BEFORE))
    }

    #[test]
    fn three_of_three_decide_as_documented() {
        use State::{Alarm, InsufficientData, Ok};
        for (row, states) in [
            ("0 - X - X", [Ok, Ok, Ok, Ok]),
            ("- - - - 0", [Ok, Ok, Ok, Ok]),
            ("- - - - -", [InsufficientData, BEFORE, Alarm, Ok]),
            ("0 X X - X", [Alarm, Alarm, Alarm, Alarm]),
            ("- - X - -", [Alarm, BEFORE, Alarm, Ok]),
            ("- - - - X", [Ok, BEFORE, Alarm, Ok]),
            ("- - - X -", [Ok, BEFORE, Alarm, Ok]),
        ] {
            assert_eq!(decided(row, 3), states, "{row}");
        }
    }

    #[test]
    fn two_of_three_decide_as_documented() {
        use State::{Alarm, Ok};
        for (row, states) in [
            ("0 - X - X", [Alarm, Alarm, Alarm, Alarm]),
            ("0 0 X 0 X", [Alarm, Alarm, Alarm, Alarm]),
            ("0 - X - -", [Ok, Ok, Alarm, Ok]),
            ("- - - - 0", [Ok, Ok, Alarm, Ok]),
            ("- - - X -", [Alarm, BEFORE, Alarm, Ok]),
        ] {
            assert_eq!(decided(row, 2), states, "{row}");
        }
    }

    #[test]
    fn data_that_stops_is_missing_only_when_the_last_point_has_moved_out_of_range() {
        let after = |silent: usize| {
            let points: Vec<Option<bool>> = (0..3).map(|place| (place + silent < 3).then_some(false)).collect();
            decide(&points, 1, 1, Treatment::Breaching, State::Ok)
        };
        assert_eq!([0, 1, 2, 3].map(after), [State::Ok, State::Ok, State::Ok, State::Alarm]);
    }

    #[test]
    fn a_state_that_is_kept_is_the_one_before() {
        for before in [State::Ok, State::Alarm] {
            assert_eq!(decide(&[None, None, None], 1, 1, Treatment::Ignore, before), before);
        }
    }
}
