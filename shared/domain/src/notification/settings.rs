//! `policy/notifications.toml`: the templates, and what stands in their fields. Read and checked at the start of a
//! function, so that a message which WeChat would refuse for its form is found before any job asks for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::FieldKind;
use crate::{
    ids::{RequestId, Timestamp},
    job::JobState,
};

/// Maximum number of fields of a template, by WeChat's rules.
const FIELDS_AT_MOST: usize = 5;
/// Maximum number of templates: each has an attribute in the items of its users.
const TEMPLATES_AT_MOST: usize = 16;
/// Default offset from UTC in minutes: Beijing.
const fn beijing() -> i32 {
    480
}

/// When a notification is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The job has ended.
    Ended,
    /// The job waits for the user's approval.
    Approval,
}

/// A state that a notification may report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// The job succeeded.
    Succeeded,
    /// The job failed.
    Failed,
    /// The job was refused.
    Refused,
    /// The job was explained.
    Explained,
    /// The job expired.
    Expired,
    /// The outcome is unknown.
    Unknown,
    /// The job waits for the user's approval.
    AwaitingApproval,
}

impl StatusWord {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Refused,
        Self::Explained,
        Self::Expired,
        Self::Unknown,
        Self::AwaitingApproval,
    ];

    /// The word for a job's state; `None` for a state that no notification reports.
    pub const fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Succeeded => Some(Self::Succeeded),
            JobState::Failed => Some(Self::Failed),
            JobState::Refused => Some(Self::Refused),
            JobState::Explained => Some(Self::Explained),
            JobState::Expired => Some(Self::Expired),
            JobState::Unknown => Some(Self::Unknown),
            JobState::AwaitingApproval => Some(Self::AwaitingApproval),
            JobState::Cancelled | JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying => None,
        }
    }
}

/// Which version of the Mini Program a tap on the message opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// The development version.
    Developer,
    /// The trial version.
    Trial,
    /// The published version.
    #[default]
    Formal,
}

/// Content of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Title,
    Status,
    Time,
    RequestId,
    Text(String),
}

/// One template of the Mini Program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The name by which a submission asks for it.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// WeChat's id of the template.
    pub template_id: String,
    page: String,
    release: Release,
    on: BTreeSet<Occasion>,
    fields: BTreeMap<String, (FieldKind, Source)>,
}

/// Every template, and the words of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifications {
    all: BTreeMap<String, Notification>,
    words: BTreeMap<StatusWord, String>,
    utc_offset_minutes: i32,
}

/// What one message is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Title of the tool or agent.
    pub title: &'a str,
    /// The state that it reports.
    pub status: StatusWord,
    /// When the job came into that state.
    pub at: Timestamp,
    /// The job's request id.
    pub request_id: RequestId,
}

/// A message as WeChat takes it, without its recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// WeChat's id of the template.
    pub template_id: String,
    /// The page that a tap opens.
    pub page: String,
    /// Which version of the Mini Program a tap opens.
    pub miniprogram_state: Release,
    /// The language that WeChat uses around the message.
    pub lang: &'static str,
    /// The fields.
    pub data: BTreeMap<String, FieldValue>,
}

/// Value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldValue {
    /// The text.
    pub value: String,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotificationFault {
    /// The file is not valid TOML, or does not have the expected fields.
    #[error("policy/notifications.toml cannot be read")]
    Toml(#[source] toml::de::Error),
    /// A word is missing.
    #[error("policy/notifications.toml: [status] has no word for {0:?}")]
    NoWord(StatusWord),
    /// More templates than a user's item has room for.
    #[error("policy/notifications.toml: there may be {TEMPLATES_AT_MOST} notifications at most")]
    TooMany,
    /// The entry of a notification is inconsistent.
    #[error("policy/notifications.toml: notification {name}: {problem}")]
    Entry {
        /// Name of the notification.
        name: String,
        /// Description of the fault.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "beijing")]
    utc_offset_minutes: i32,
    #[serde(default)]
    status: BTreeMap<StatusWord, String>,
    #[serde(default)]
    notification: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    title: String,
    template_id: String,
    page: String,
    #[serde(default)]
    miniprogram_state: Release,
    on: BTreeSet<Occasion>,
    fields: BTreeMap<String, String>,
}

impl Notifications {
    /// Parses and checks the settings. `titles` are those of every tool and agent: each has to fit the fields that show
    /// it.
    pub fn parse(text: &str, titles: &[&str]) -> Result<Self, NotificationFault> {
        let File { utc_offset_minutes, status: words, notification: entries } =
            toml::from_str(text).map_err(NotificationFault::Toml)?;
        if entries.len() > TEMPLATES_AT_MOST {
            return Err(NotificationFault::TooMany);
        }
        let missing = StatusWord::ALL.into_iter().find(|status| !words.contains_key(status));
        if let Some(status) = missing.filter(|_| !entries.is_empty()) {
            return Err(NotificationFault::NoWord(status));
        }
        let mut read = Self { all: BTreeMap::new(), words, utc_offset_minutes };
        for entry in entries {
            let name = entry.name.clone();
            let fault = |problem: String| NotificationFault::Entry { name: name.clone(), problem };
            let notification = entry.checked().map_err(&fault)?;
            read.check_values(&notification, titles).map_err(&fault)?;
            if read.by_template(&notification.template_id).is_some() {
                return Err(fault("another notification has the same template_id".to_owned()));
            }
            if read.all.insert(name.clone(), notification).is_some() {
                return Err(fault("listed twice".to_owned()));
            }
        }
        Ok(read)
    }

    /// Looks a notification up.
    pub fn get(&self, name: &str) -> Option<&Notification> {
        self.all.get(name)
    }

    /// The notification with this template of WeChat.
    pub fn by_template(&self, template_id: &str) -> Option<&Notification> {
        self.all.values().find(|one| one.template_id == template_id)
    }

    /// Every notification, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Notification> {
        self.all.values()
    }

    /// The message of a notification. `None` when a value does not fit its field, which the check at the start excludes
    /// for the titles of the catalogue.
    pub fn message(&self, notification: &Notification, about: &About<'_>) -> Option<Message> {
        let values = notification.fields.iter().map(|(key, (kind, source))| {
            let value = match source {
                Source::Title => kind.fit(about.title),
                Source::Status => kind.fit(self.words.get(&about.status)?),
                Source::Time => kind.moment(about.at, self.utc_offset_minutes),
                // 36 characters, four of which are hyphens: a `character_string` has 32.
                Source::RequestId => kind.fit(&about.request_id.to_string().replace('-', "")),
                Source::Text(text) => kind.fit(text),
            };
            Some((key.clone(), FieldValue { value: value? }))
        });
        Some(Message {
            template_id: notification.template_id.clone(),
            page: format!("{}?request_id={}", notification.page, about.request_id),
            miniprogram_state: notification.release,
            lang: "zh_CN",
            data: values.collect::<Option<_>>()?,
        })
    }

    /// Every value that a field may get has to fit; words and texts of this file unchanged.
    fn check_values(&self, notification: &Notification, titles: &[&str]) -> Result<(), String> {
        for (key, (kind, source)) in &notification.fields {
            let whole = |text: &str| match kind.fit(text) {
                Some(fitted) if fitted == text => Ok(()),
                _ => Err(format!("{key} does not take {text:?}")),
            };
            match source {
                Source::Title => {
                    let misfit = titles.iter().find(|title| kind.fit(title).is_none());
                    misfit.map_or(Ok(()), |title| Err(format!("{key} takes nothing of the title {title:?}")))?;
                }
                Source::Status => self.words.values().try_for_each(|word| whole(word))?,
                Source::Text(text) => whole(text)?,
                Source::Time if kind.moment(Timestamp::from_millis(0), 0).is_none() => {
                    return Err(format!("{key} takes no time"));
                }
                Source::RequestId if *kind != FieldKind::CharacterString => {
                    return Err(format!("{key} takes no request id: only a character_string has room for it"));
                }
                Source::Time | Source::RequestId => {}
            }
        }
        Ok(())
    }
}

impl Notification {
    /// Whether it is sent on this occasion.
    pub fn is_sent_on(&self, occasion: Occasion) -> bool {
        self.on.contains(&occasion)
    }
}

impl Entry {
    fn checked(self) -> Result<Notification, String> {
        let plain = |text: &str, most: usize, more: &str| {
            (1..=most).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
        };
        if !plain(&self.name, 32, "_-") {
            return Err("the name may hold 1 to 32 letters, digits, `_` and `-`".to_owned());
        }
        if !plain(&self.template_id, 64, "_-") {
            return Err("`template_id` is 1 to 64 letters, digits, `_` and `-`".to_owned());
        }
        if !plain(&self.page, 128, "/_-") || self.page.starts_with('/') {
            return Err(
                "`page` is the path of a page as app.json has it, without `/` before it and without a query".to_owned()
            );
        }
        if self.title.trim().is_empty() {
            return Err("`title` is empty".to_owned());
        }
        if self.on.is_empty() {
            return Err("`on` is empty: it would never be sent".to_owned());
        }
        if !(1..=FIELDS_AT_MOST).contains(&self.fields.len()) {
            return Err(format!("it needs 1 to {FIELDS_AT_MOST} fields"));
        }
        let field = |(key, source): (String, String)| {
            let kind = FieldKind::of_key(&key).ok_or_else(|| format!("no value is known for a field {key}"))?;
            Ok((key, (kind, Source::parse(&source)?)))
        };
        let fields = self.fields.into_iter().map(field).collect::<Result<_, String>>()?;
        let Self { name, title, template_id, page, miniprogram_state: release, on, .. } = self;
        Ok(Notification { name, title, template_id, page, release, on, fields })
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "title" => Ok(Self::Title),
            "status" => Ok(Self::Status),
            "time" => Ok(Self::Time),
            "request_id" => Ok(Self::RequestId),
            other => match other.strip_prefix("text:") {
                Some(text) => Ok(Self::Text(text.to_owned())),
                None => Err(format!("a field is `title`, `status`, `time`, `request_id` or `text:…`, not {other:?}")),
            },
        }
    }
}

#[cfg(test)]
mod tests;
