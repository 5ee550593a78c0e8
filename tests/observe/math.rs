//! Metric math, as far as the template uses it: numbers, series by id, `+ - * /`, comparisons, `AND` `OR`, `IF`,
//! `FILL`, and `SUM` `MAX` `MIN` over a list of series.
//!
//! Where an operand is missing, so is the result. A list leaves out what is missing. `FILL` fills a series that has a
//! point somewhere in range: of one that has none CloudWatch does not say what becomes, so here it stays missing, the
//! worse case.

use std::collections::BTreeMap;

mod parse;

pub(crate) use parse::parse;

/// A value per period, the oldest first.
pub(crate) type Points = Vec<Option<f64>>;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Id(String),
    Operation(Box<Expression>, Operator, Box<Expression>),
    If(Box<[Expression; 3]>),
    Fill(Box<Expression>, f64),
    Over(Fold, Vec<Expression>),
    /// `INSIGHT_RULE_METRIC(rule, metric)`.
    Insight(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Less,
    Greater,
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Max,
    Min,
}

impl Expression {
    /// Every id that it names.
    pub(crate) fn ids(&self) -> Vec<&str> {
        match self {
            Self::Number(_) | Self::Insight(..) => Vec::new(),
            Self::Id(id) => vec![id],
            Self::Operation(left, _, right) => [left.ids(), right.ids()].concat(),
            Self::If(parts) => parts.iter().flat_map(Self::ids).collect(),
            Self::Fill(inner, _) => inner.ids(),
            Self::Over(_, parts) => parts.iter().flat_map(Self::ids).collect(),
        }
    }

    /// The rule and the metric of a rule that it asks for, if any.
    pub(crate) fn insight(&self) -> Option<(&str, &str)> {
        match self {
            Self::Insight(rule, metric) => Some((rule, metric)),
            _ => None,
        }
    }

    /// Its value in each of `periods` periods. `series` has the points of each id, and those of a rule under its name.
    pub(crate) fn points(&self, periods: usize, series: &BTreeMap<String, Points>) -> Points {
        let of = |inner: &Self| inner.points(periods, series);
        match self {
            Self::Number(number) => vec![Some(*number); periods],
            Self::Id(id) | Self::Insight(id, _) => series.get(id).cloned().unwrap_or_else(|| vec![None; periods]),
            Self::Operation(left, operator, right) => {
                of(left).into_iter().zip(of(right)).map(|(a, b)| Some(operator.on(a?, b?))).collect()
            }
            Self::If(parts) => {
                let [test, then, otherwise] = parts.each_ref().map(of);
                let choose = |at: usize| if test[at]? != 0.0 { then[at] } else { otherwise[at] };
                (0..periods).map(choose).collect()
            }
            Self::Fill(inner, filling) => {
                let points = of(inner);
                let some = points.iter().any(Option::is_some);
                points.into_iter().map(|point| point.or(some.then_some(*filling))).collect()
            }
            Self::Over(fold, parts) => {
                let parts: Vec<Points> = parts.iter().map(of).collect();
                (0..periods).map(|at| parts.iter().filter_map(|part| part[at]).reduce(|a, b| fold.on(a, b))).collect()
            }
        }
    }
}

impl Operator {
    fn on(self, a: f64, b: f64) -> f64 {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a != b),
            Self::AtMost => truth(a <= b),
            Self::AtLeast => truth(a >= b),
            Self::Less => truth(a < b),
            Self::Greater => truth(a > b),
            Self::Plus => a + b,
            Self::Minus => a - b,
            Self::Times => a * b,
            Self::Over => a / b,
        }
    }
}

impl Fold {
    fn on(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => a + b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, series: &[(&str, Points)]) -> Points {
        let series = series.iter().map(|(id, points)| ((*id).to_owned(), points.clone())).collect();
        parse(text).unwrap().points(2, &series)
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        for (text, result) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("8 / 4 / 2", 1.0),
            ("7 - 2 - 1", 4.0),
            ("1 + 1 >= 2 AND 3 > 4 OR 1 == 1", 1.0),
            ("2 != 2 || 1 <= 0", 0.0),
        ] {
            assert_eq!(value(text, &[]), [Some(result); 2], "{text}");
        }
    }

    #[test]
    fn what_is_missing_makes_the_result_missing_except_in_a_list() {
        let (a, b) = (vec![Some(1.0), None], vec![Some(4.0), Some(5.0)]);
        let both = [("a", a), ("b", b)];
        assert_eq!(value("a + b", &both), [Some(5.0), None]);
        assert_eq!(value("SUM([a, b])", &both), [Some(5.0), Some(5.0)]);
        assert_eq!(
            (value("MAX([a, b])", &both), value("MIN([a, b])", &both)),
            (vec![Some(4.0), Some(5.0)], vec![Some(1.0), Some(5.0)])
        );
        assert_eq!(value("SUM([nobody])", &both), [None, None]);
    }

    #[test]
    fn a_rate_below_its_minimum_count_is_zero() {
        let rate = "IF(errors >= 3, 100 * errors / requests, 0)";
        let series = [("errors", vec![Some(2.0), Some(3.0)]), ("requests", vec![Some(2.0), Some(10.0)])];
        assert_eq!(value(rate, &series), [Some(0.0), Some(30.0)]);
        assert_eq!(value(rate, &[]), [None, None], "no traffic is missing, not zero");
    }

    #[test]
    fn if_takes_only_the_branch_that_it_needs() {
        let series = [("t", vec![Some(1.0), Some(0.0)]), ("x", vec![Some(7.0), None])];
        assert_eq!(value("IF(t, x, 0)", &series), [Some(7.0), Some(0.0)]);
        assert_eq!(value("IF(none, 1, 0)", &series), [None, None]);
    }

    #[test]
    fn a_gap_is_filled_and_a_series_that_has_nothing_is_not() {
        assert_eq!(value("FILL(m, 0)", &[("m", vec![Some(2.0), None])]), [Some(2.0), Some(0.0)]);
        assert_eq!(value("FILL(m, 0)", &[("m", vec![None, None])]), [None, None]);
    }

    #[test]
    fn a_rule_is_read_with_its_metric() {
        let expression = parse("INSIGHT_RULE_METRIC('stack-rule', 'MaxContributorValue')").unwrap();
        assert_eq!(expression.insight(), Some(("stack-rule", "MaxContributorValue")));
        assert!(expression.ids().is_empty());
        assert_eq!(parse("IF(a >= 3, 100 * b / SUM([c, d]), FILL(e, 0))").unwrap().ids(), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "",
            "1 +",
            "FILL(m, REPEAT)",
            "RATE(m)",
            "SUM(m)",
            "IF(a, b)",
            "a b",
            "(a",
            "INSIGHT_RULE_METRIC(x)",
            "Upper",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
