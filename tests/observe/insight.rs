//! Contributor Insights rules over log lines: schema `CloudWatchLogRule`, version 1, format JSON, as far as the
//! template uses it.

use std::collections::BTreeMap;

use serde_json::Value;

/// A log line, when and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) at: i64,
    pub(crate) group: String,
    pub(crate) fields: Value,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    keys: Vec<String>,
    value: Option<String>,
    filters: Vec<(String, Test)>,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<Value>),
    GreaterThan(f64),
    LessThan(f64),
}

impl Rule {
    /// Reads a rule's body; an error says what is not as the schema has it.
    pub(crate) fn parse(name: &str, body: &Value) -> Result<Self, String> {
        if body["Schema"] != serde_json::json!({"Name": "CloudWatchLogRule", "Version": 1})
            || body["LogFormat"] != "JSON"
        {
            return Err(format!("{name}: another schema or format"));
        }
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let contribution = &body["Contribution"];
        let keys = texts(&contribution["Keys"]).filter(|keys| (1..=4).contains(&keys.len()));
        let keys = keys.ok_or_else(|| format!("{name}: one to four keys"))?;
        let value = contribution["ValueOf"].as_str().map(str::to_owned);
        if body["AggregateOn"] != if value.is_some() { "Sum" } else { "Count" } {
            return Err(format!("{name}: a sum needs a value, a count has none"));
        }
        let filters = contribution["Filters"].as_array().map(Vec::as_slice).unwrap_or_default();
        if filters.len() > 4 {
            return Err(format!("{name}: more than four filters"));
        }
        let filters = filters.iter().map(|filter| {
            let field = filter["Match"].as_str().ok_or_else(|| format!("{name}: a filter names a field"))?.to_owned();
            let test = match (filter["In"].as_array(), filter["GreaterThan"].as_f64(), filter["LessThan"].as_f64()) {
                (Some(list), None, None) => Test::In(list.clone()),
                (None, Some(bound), None) => Test::GreaterThan(bound),
                (None, None, Some(bound)) => Test::LessThan(bound),
                _ => return Err(format!("{name}: a filter that is not understood: {filter}")),
            };
            Ok((field, test))
        });
        let filters = filters.collect::<Result<_, _>>()?;
        let groups = texts(&body["LogGroupNames"]).ok_or_else(|| format!("{name}: log groups"))?;
        Ok(Self { name: name.to_owned(), groups, keys, value, filters })
    }

    /// Every field that the rule reads, without `$.`.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let all = self.keys.iter().chain(&self.value).chain(self.filters.iter().map(|(field, _)| field));
        all.map(|field| field.strip_prefix("$.").unwrap_or(field))
    }

    /// The value of each contributor from `from` up to, and without, `to`. A line without one of the keys counts for no
    /// contributor.
    pub(crate) fn contributors(&self, lines: &[Line], from: i64, to: i64) -> BTreeMap<Vec<String>, f64> {
        let mut all = BTreeMap::new();
        for line in lines.iter().filter(|line| (from..to).contains(&line.at) && self.groups.contains(&line.group)) {
            let Some(keys) = self.keys.iter().map(|key| field(line, key).map(text)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let amount = match &self.value {
                None => Some(1.0),
                Some(value) => field(line, value).and_then(Value::as_f64),
            };
            let fits = self.filters.iter().all(|(name, test)| field(line, name).is_some_and(|value| test.fits(value)));
            if let (true, Some(amount)) = (fits, amount) {
                *all.entry(keys).or_insert(0.0) += amount;
            }
        }
        all
    }

    /// A metric of the rule over a period; `None` when there is no contributor.
    pub(crate) fn metric(&self, metric: &str, lines: &[Line], from: i64, to: i64) -> Option<f64> {
        let all = self.contributors(lines, from, to);
        if all.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 users")]
        match metric {
            "MaxContributorValue" => all.values().copied().reduce(f64::max),
            "UniqueContributors" => Some(all.len() as f64),
            "Sum" => Some(all.values().sum()),
            _ => None,
        }
    }
}

impl Test {
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::In(list) => list.contains(value),
            Self::GreaterThan(bound) => value.as_f64().is_some_and(|number| number > *bound),
            Self::LessThan(bound) => value.as_f64().is_some_and(|number| number < *bound),
        }
    }
}

fn field<'a>(line: &'a Line, path: &str) -> Option<&'a Value> {
    line.fields.get(path.strip_prefix("$.")?).filter(|value| !value.is_null())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(contribution: Value, aggregate: &str) -> Result<Rule, String> {
        let body = json!({"Schema": {"Name": "CloudWatchLogRule", "Version": 1}, "LogGroupNames": ["g"],
            "LogFormat": "JSON", "Contribution": contribution, "AggregateOn": aggregate});
        Rule::parse("r", &body)
    }

    fn lines() -> Vec<Line> {
        let line = |at, group: &str, fields| Line { at, group: group.into(), fields };
        vec![
            line(0, "g", json!({"user_id": "a", "status": 202, "bytes": 10})),
            line(1, "g", json!({"user_id": "a", "status": 422, "bytes": 30})),
            line(2, "g", json!({"user_id": "b", "status": 404})),
            line(3, "g", json!({"status": 404})),
            line(4, "h", json!({"user_id": "a", "status": 404})),
            line(60_000, "g", json!({"user_id": "a", "status": 404})),
        ]
    }

    #[test]
    fn the_busiest_contributor_of_a_period_is_counted() {
        let rule = rule(json!({"Keys": ["$.user_id"]}), "Count").unwrap();
        let of = |metric| rule.metric(metric, &lines(), 0, 60_000);
        assert_eq!(
            of("MaxContributorValue"),
            Some(2.0),
            "not the line of another group, of no user, or of a later minute"
        );
        assert_eq!((of("UniqueContributors"), of("Sum")), (Some(2.0), Some(3.0)));
        assert_eq!(rule.metric("MaxContributorValue", &lines(), 120_000, 180_000), None);
    }

    #[test]
    fn filters_must_all_fit_and_a_missing_field_fits_none() {
        let filters = json!([{"Match": "$.status", "GreaterThan": 399}, {"Match": "$.status", "LessThan": 500}]);
        let rule = rule(json!({"Keys": ["$.user_id"], "Filters": filters}), "Count").unwrap();
        let all = rule.contributors(&lines(), 0, 60_000);
        assert_eq!(all, BTreeMap::from([(vec!["a".to_owned()], 1.0), (vec!["b".to_owned()], 1.0)]));
        assert_eq!(rule.fields().collect::<Vec<_>>(), ["user_id", "status", "status"]);
    }

    #[test]
    fn a_sum_adds_a_field_up_and_leaves_lines_without_it_out() {
        let rule = rule(json!({"Keys": ["$.user_id"], "ValueOf": "$.bytes"}), "Sum").unwrap();
        assert_eq!(rule.contributors(&lines(), 0, 60_000), BTreeMap::from([(vec!["a".to_owned()], 40.0)]));
    }

    #[test]
    fn what_the_schema_does_not_have_is_refused() {
        assert!(rule(json!({"Keys": []}), "Count").is_err());
        assert!(rule(json!({"Keys": ["$.a"]}), "Sum").is_err());
        assert!(rule(json!({"Keys": ["$.a"], "ValueOf": "$.b"}), "Count").is_err());
        assert!(rule(json!({"Keys": ["$.a"], "Filters": [{"Match": "$.b", "Like": "x"}]}), "Count").is_err());
    }
}
