//! Interprets the message of an alarm. Pure.
//!
//! Alarms lower the service mode and never raise it: a person has to judge that a fault is over.

use serde::Deserialize;
use serde_json::Value;

use crate::{access::service_mode::Mode, json};

/// The alarms that lower the mode, by the end of their names, which begin with the stack's name; and the mode that
/// each sets.
pub const ALARMS: [(&str, Mode); 2] = [("-gateway-not-ready", Mode::ExplainOnly), ("-audit-failing", Mode::ReadOnly)];

/// Effect of an alarm's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The alarm of this name went off: the service mode must be at most this one.
    Lower(String, Mode),
    /// The message changes nothing, for this reason: a stable code.
    Nothing(&'static str),
}

/// The fields of CloudWatch's message that are used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alarm {
    alarm_name: String,
    new_state_value: String,
}

/// Parses the text of an alarm's message, as SNS delivers it.
pub fn read(text: &str) -> Message {
    let Ok(alarm) = json::foreign::<Alarm>(text.as_bytes()) else { return Message::Nothing("alarm_unreadable") };
    let Some((_, mode)) = ALARMS.into_iter().find(|(end, _)| alarm.alarm_name.ends_with(end)) else {
        return Message::Nothing("alarm_unknown");
    };
    // CloudWatch's own limits. The name is stored in an audit record, so other texts are refused.
    if alarm.alarm_name.chars().count() > 255 || alarm.alarm_name.chars().any(char::is_control) {
        return Message::Nothing("alarm_unreadable");
    }
    match alarm.new_state_value.as_str() {
        "ALARM" => Message::Lower(alarm.alarm_name, mode),
        "OK" | "INSUFFICIENT_DATA" => Message::Nothing("alarm_over"),
        _ => Message::Nothing("alarm_unreadable"),
    }
}

/// The texts of the messages in an SNS event; `None` when the event is not from SNS.
pub fn texts(event: &Value) -> Option<Vec<&str>> {
    let records = event.get("Records")?.as_array()?;
    Some(
        records
            .iter()
            .map(|record| record.pointer("/Sns/Message").and_then(Value::as_str).unwrap_or_default())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(name: &str, state: &str) -> Message {
        read(&json!({ "AlarmName": name, "NewStateValue": state, "Region": "EU (Ireland)" }).to_string())
    }

    #[test]
    fn an_alarm_lowers_by_its_role_and_its_end_raises_nothing() {
        let lower = |name: &str, mode| Message::Lower(name.to_owned(), mode);
        assert_eq!(message("prod-gateway-not-ready", "ALARM"), lower("prod-gateway-not-ready", Mode::ExplainOnly));
        assert_eq!(message("a-b-audit-failing", "ALARM"), lower("a-b-audit-failing", Mode::ReadOnly));
        for state in ["OK", "INSUFFICIENT_DATA"] {
            assert_eq!(message("prod-audit-failing", state), Message::Nothing("alarm_over"));
        }
    }

    #[test]
    fn whatever_else_comes_changes_nothing() {
        assert_eq!(message("prod-dead-letters", "ALARM"), Message::Nothing("alarm_unknown"));
        assert_eq!(message("audit-failing-prod", "ALARM"), Message::Nothing("alarm_unknown"));
        assert_eq!(message("prod-audit-failing", "alarm"), Message::Nothing("alarm_unreadable"));
        assert_eq!(
            message(&format!("{}-audit-failing", "x".repeat(300)), "ALARM"),
            Message::Nothing("alarm_unreadable")
        );
        assert_eq!(message("\n-audit-failing", "ALARM"), Message::Nothing("alarm_unreadable"));
        for garbage in ["", "x", "null", "[]", "{}", "{\"AlarmName\":1,\"NewStateValue\":\"ALARM\"}", "\u{0}"] {
            assert_eq!(read(garbage), Message::Nothing("alarm_unreadable"), "{garbage}");
        }
    }

    #[test]
    fn an_event_is_a_schedules_or_has_records() {
        assert_eq!(texts(&json!({ "detail-type": "Scheduled Event" })), None);
        for none in [json!(null), json!([]), json!("x"), json!({ "Records": 1 })] {
            assert_eq!(texts(&none), None, "{none}");
        }
        let records = json!({ "Records": [{ "Sns": { "Message": "one" } }, { "Sns": {} }, 7] });
        assert_eq!(texts(&records), Some(vec!["one", "", ""]));
    }
}
