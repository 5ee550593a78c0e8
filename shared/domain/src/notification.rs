//! Notifications: WeChat's subscribe messages that tell a user that a job has ended, or waits for their approval.
//!
//! A notification says what happened to which kind of job, in words of `policy/notifications.toml` and of the
//! catalogue. It never contains a text of a user, a tool or a model, so nothing that needs a content check leaves the
//! service by it.

mod field;
mod notice;
mod settings;

pub use field::FieldKind;
pub use notice::{Notice, NoticeRecord, NoticeState};
pub use settings::{
    About, FieldValue, Message, Notification, NotificationFault, Notifications, Occasion, Release, StatusWord,
};

/// Path of the settings below `policy/`.
pub const NOTIFICATIONS: &str = "notifications.toml";
