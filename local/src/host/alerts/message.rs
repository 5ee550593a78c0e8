//! Messages to a webhook: texts of the alarm tables, and the host's name. They contain no client data.

use domain::alarms::{Change, Severity, Transition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The limit of WeCom for the text of one message, in bytes.
const WECOM_BYTES: usize = 4096;
/// The most alarms in one JSON message.
const JSON_ALARMS: usize = 50;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A robot of a WeCom group: `{"msgtype":"markdown",…}`. <https://developer.work.weixin.qq.com/document/path/91770>
    Wecom,
    /// `{"host":…,"alarms":[{"name","state","severity","says","at","runbook"}]}`.
    Json,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The body.
    pub body: Value,
    /// How many changes are in it.
    pub changes: usize,
}

/// As few messages as the limits allow, in order.
pub(super) fn pack(format: Format, host: &str, changes: &[Transition]) -> Vec<Message> {
    match format {
        Format::Json => changes.chunks(JSON_ALARMS).map(|some| json_message(host, some)).collect(),
        Format::Wecom => wecom_messages(host, changes),
    }
}

const fn state(change: Change) -> &'static str {
    match change {
        Change::Fired => "alarm",
        Change::Over => "ok",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    }
}

fn json_message(host: &str, changes: &[Transition]) -> Message {
    let alarm = |one: &Transition| {
        json!({
            "name": one.name,
            "state": state(one.change),
            "severity": severity(one.severity),
            "says": one.says,
            "at": one.at.to_string(),
            "runbook": format!("docs/operate/runbook.md#{}", one.name),
        })
    };
    let alarms: Vec<Value> = changes.iter().map(alarm).collect();
    Message { body: json!({"host": host, "alarms": alarms}), changes: changes.len() }
}

fn wecom_messages(host: &str, changes: &[Transition]) -> Vec<Message> {
    let mut packed: Vec<(String, usize)> = Vec::new();
    for one in changes {
        let text = wecom_text(host, one);
        match packed.last_mut() {
            Some((all, count)) if all.len() + 2 + text.len() <= WECOM_BYTES => {
                all.push_str("\n\n");
                all.push_str(&text);
                *count += 1;
            }
            _ => packed.push((text, 1)),
        }
    }
    let message = |(text, changes): (String, usize)| Message {
        body: json!({"msgtype": "markdown", "markdown": {"content": text}}),
        changes,
    };
    packed.into_iter().map(message).collect()
}

fn wecom_text(host: &str, one: &Transition) -> String {
    let Transition { name, says, at, .. } = one;
    match one.change {
        Change::Fired => format!(
            "<font color=\"warning\">ALARM</font> **{name}** ({}) on {host}\n> {says}\n> since {at}; runbook.md#{name}",
            severity(one.severity)
        ),
        Change::Over => format!("<font color=\"info\">OK</font> **{name}** on {host}\n> over since {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{alarms::AlarmTable, ids::Timestamp};

    fn every(change: Change) -> Vec<Transition> {
        let (cloud, host) = (AlarmTable::built_in().unwrap(), AlarmTable::of_one_host().unwrap());
        let one = |alarm: &domain::alarms::Alarm| Transition {
            name: alarm.name().to_owned(),
            severity: alarm.severity(),
            says: alarm.says().to_owned(),
            change,
            at: Timestamp::from_millis(1_795_341_600_000),
        };
        cloud.alarms().iter().chain(host.alarms()).map(one).collect()
    }

    #[test]
    fn every_alarm_at_once_is_a_few_messages_of_wecom_and_none_is_too_long() {
        let all = [every(Change::Fired), every(Change::Over)].concat();
        let messages = pack(Format::Wecom, "host", &all);
        assert!((2..=super::super::MESSAGES_PER_MINUTE).contains(&messages.len()), "{}", messages.len());
        assert_eq!(messages.iter().map(|message| message.changes).sum::<usize>(), all.len());
        for message in &messages {
            let text = message.body["markdown"]["content"].as_str().unwrap();
            assert!(text.len() <= WECOM_BYTES && message.body["msgtype"] == "markdown");
        }
        let first = messages[0].body["markdown"]["content"].as_str().unwrap();
        assert!(
            first.starts_with(&format!("<font color=\"warning\">ALARM</font> **{}** (page) on host\n", all[0].name))
        );
    }

    #[test]
    fn json_says_name_state_severity_time_and_section_of_the_runbook() {
        let messages = pack(Format::Json, "host", &every(Change::Over)[..1]);
        let alarm = json!({
            "name": "functions-failing", "state": "ok", "severity": "page",
            "says": "Invocations failed or timed out, three or more in five minutes.",
            "at": "2026-11-22T10:00:00.000Z", "runbook": "docs/operate/runbook.md#functions-failing",
        });
        assert_eq!(messages, [Message { body: json!({"host": "host", "alarms": [alarm]}), changes: 1 }]);
        assert!(pack(Format::Json, "host", &[]).is_empty() && pack(Format::Wecom, "host", &[]).is_empty());
    }
}
