//! The alarms of `template.yaml` that only CodeDeploy listens to, as rows of the table of alarms.

use domain::alarms::{Alarm, AlarmTable};
use serde_yaml_ng::Value;

/// The functions by their logical ids, and how metrics name them.
const FUNCTIONS: [(&str, &str); 5] = [
    ("EdgeAuth", "edge-auth"),
    ("Status", "status"),
    ("Worker", "worker"),
    ("Sweep", "sweep"),
    ("Operator", "operator"),
];

/// Every alarm of the main template. One that is not a plain sum in a minute, or that notifies, is a panic.
pub(crate) fn alarms() -> Vec<Alarm> {
    let mut template: Value = serde_yaml_ng::from_str(include_str!("../../template.yaml")).expect("it is YAML");
    template.apply_merge().expect("merge keys name mappings");
    let resources = template["Resources"].as_mapping().expect("it has resources");
    let alarms = resources.iter().filter(|(_, one)| one["Type"] == "AWS::CloudWatch::Alarm");
    let rows: String = alarms.map(|(name, alarm)| row(name.as_str().unwrap(), alarm)).collect();
    AlarmTable::parse(&rows).expect("they are thresholds").alarms().to_vec()
}

fn row(name: &str, alarm: &Value) -> String {
    let properties = &alarm["Properties"];
    assert_eq!(alarm["Condition"], "Gradual", "{name}: without a gradual shift it costs and does nothing");
    assert!(properties["AlarmActions"].is_null() && properties["AlarmName"].is_null(), "{name} notifies");
    assert_eq!((&properties["Statistic"], &properties["Period"]), (&"Sum".into(), &60.into()), "{name}");
    assert_eq!(properties["ComparisonOperator"], "GreaterThanOrEqualToThreshold", "{name}");
    assert_eq!(properties["TreatMissingData"], "notBreaching", "{name}");
    let function = name.strip_suffix("Rollback").expect("it is named for what it does");
    let watch = match properties["MetricName"].as_str() {
        Some("5xx") => "{ metric = \"platform.api_5xx\" }".to_owned(),
        Some("Errors") => {
            let named = FUNCTIONS.iter().find(|(id, _)| *id == function).expect("it is a function").1;
            let dimensions = serde_json::to_string(&plain(&properties["Dimensions"])).unwrap();
            assert!(dimensions.contains(&format!("{function}.Version.Version")), "{name}: of the new version alone");
            format!("{{ metric = \"platform.version_errors\", where = {{ function = \"{named}\" }} }}")
        }
        other => panic!("{name} watches {other:?}"),
    };
    let (says, threshold) =
        (properties["AlarmDescription"].as_str().unwrap(), properties["Threshold"].as_f64().unwrap());
    format!(
        "[[threshold]]\nname = \"{name}\"\nlevel = \"basic\"\nseverity = \"ticket\"\nsays = \"{says}\"\nwatch = {watch}\n\
         statistic = \"sum\"\nperiod_s = 60\nat_least = {threshold:.1}\n"
    )
}

/// Without the tags of intrinsic functions.
fn plain(value: &Value) -> Value {
    match value {
        Value::Tagged(tagged) => plain(&tagged.value),
        Value::Sequence(list) => list.iter().map(plain).collect::<Vec<_>>().into(),
        Value::Mapping(map) => {
            map.iter().map(|(key, value)| (key.clone(), plain(value))).collect::<serde_yaml_ng::Mapping>().into()
        }
        other => other.clone(),
    }
}
