//! Rotation of secrets, as changes of documents. Pure: documents and a time in, documents out, or a refusal.
//!
//! Functions hold documents that are up to [`MAX_AGE`] old, each another one. So a value goes through phases, and between
//! two of them every function must have seen the first: `add` lists it second, where it is accepted; `activate` puts it
//! first, where it is used; `retire` takes the old one away, when nothing that was made with it is of use any more.
//! The documents say beside their lists, under `rotation`, which phase they are in and since when.

use std::{collections::BTreeMap, time::Duration};

use clap::ValueEnum;
use domain::{access::session::SKEW, ids::Timestamp};
use platform::secrets::MAX_AGE;
use serde_json::{Value, json};

mod lists;
mod refusal;
mod signing;

pub use refusal::Refusal;

/// Until every function has read a change: the age limit of their caches, and a minute for requests under way and for
/// clocks that differ.
pub const SPREAD: Duration = Duration::from_secs(MAX_AGE.as_secs() + 60);
/// How long a cursor is good for at least. It has no end of its own; a list that is read on later begins anew.
pub const CURSOR_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Sign and verify sessions
    SessionKeys,
    /// Turn an openid into the key of a login item
    LoginKeys,
    /// Seal the cursors of lists
    CursorKeys,
    /// WeChat's app secret
    Wechat,
    /// The gateway's token
    GatewayToken,
    /// Sign audit checkpoints
    CheckpointKeys,
}

/// One step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// List the new value second: accepted, not used
    Add,
    /// Put the new value first: used
    Activate,
    /// Take the old value away
    Retire,
    /// Take back an `add` that was not activated
    Cancel,
}

/// Whose document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// edge-auth's.
    EdgeAuth,
    /// status's.
    Status,
    /// The worker's.
    Worker,
    /// sweep's.
    Sweep,
}

impl Holder {
    /// All.
    pub const ALL: [Self; 4] = [Self::EdgeAuth, Self::Status, Self::Worker, Self::Sweep];

    /// The function's name.
    pub const fn function(self) -> &'static str {
        match self {
            Self::EdgeAuth => "edge-auth",
            Self::Status => "status",
            Self::Worker => "worker",
            Self::Sweep => "sweep",
        }
    }
}

impl Kind {
    /// Whose documents hold it. The first one leads: it says how far the rotation is.
    pub const fn holders(self) -> &'static [Holder] {
        match self {
            Self::SessionKeys => &[Holder::EdgeAuth, Holder::Status],
            Self::LoginKeys | Self::Wechat => &[Holder::EdgeAuth],
            Self::CursorKeys => &[Holder::Status],
            Self::GatewayToken => &[Holder::Worker],
            Self::CheckpointKeys => &[Holder::Sweep],
        }
    }

    /// Whether the new value comes from outside.
    pub const fn is_given(self) -> bool {
        matches!(self, Self::Wechat | Self::GatewayToken)
    }

    /// Its name on the command line and in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionKeys => "session-keys",
            Self::LoginKeys => "login-keys",
            Self::CursorKeys => "cursor-keys",
            Self::Wechat => "wechat",
            Self::GatewayToken => "gateway-token",
            Self::CheckpointKeys => "checkpoint-keys",
        }
    }

    /// Where its list is; signing keys are more than a list.
    const fn list(self) -> &'static str {
        match self {
            Self::SessionKeys => "/sessions/keys",
            Self::LoginKeys => "/logins",
            Self::CursorKeys => "/cursors",
            Self::Wechat => "/wechat/app_secrets",
            Self::GatewayToken => "/openclaw/tokens",
            Self::CheckpointKeys => "/checkpoints/keys",
        }
    }

    /// How long the old value is still needed after the new one went first.
    pub fn outlived_by(self, session_lifetime: Duration) -> Duration {
        match self {
            Self::SessionKeys => SPREAD + session_lifetime + SKEW,
            Self::CursorKeys => SPREAD + CURSOR_LIFETIME,
            // It is over when every user is known under the new key, and the wait came before that.
            Self::LoginKeys => Duration::ZERO,
            // A checkpoint is verified by whoever keeps the public keys, not by a function.
            Self::Wechat | Self::GatewayToken | Self::CheckpointKeys => SPREAD,
        }
    }
}

impl Phase {
    /// In which order documents are written, so that a command that dies in between is completed by repeating it, and no
    /// function signs what another one cannot verify. The leader is written first when something comes, and last when
    /// something goes.
    pub fn in_order(self, holders: &[Holder]) -> Vec<Holder> {
        let mut order = holders.to_vec();
        if self != Self::Add {
            order.reverse();
        }
        order
    }
}

/// Documents by holder. On one host all parts are in one document, which stands for its kind's leader.
pub type Documents = BTreeMap<Holder, Value>;

/// A step that is asked for.
pub struct Request {
    /// What is rotated.
    pub kind: Kind,
    /// The step.
    pub phase: Phase,
    /// The new value, for `add`. For signing keys, the key's object.
    pub fresh: Option<Value>,
    /// How long sessions last.
    pub session_lifetime: Duration,
    /// Without waiting: for a value that has leaked.
    pub at_once: bool,
    /// When.
    pub now: Timestamp,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("kind", &self.kind).field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// A step that was taken, or had been taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Documents have changed.
    Changed,
    /// It was so already.
    Already,
}

/// How far a rotation is, in one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    stage: Stage,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Added,
    Activated,
    /// Every user is known under the new login key.
    Rekeyed,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Activated => "activated",
            Self::Rekeyed => "rekeyed",
        }
    }
}

fn mark(document: &Value, kind: Kind) -> Option<Mark> {
    let mark = document.get("rotation")?.get(kind.name())?;
    let name = mark.get("stage")?.as_str()?;
    let stage = [Stage::Added, Stage::Activated, Stage::Rekeyed].into_iter().find(|stage| stage.name() == name)?;
    Some(Mark { stage, at: Timestamp::parse(mark.get("at")?).ok()? })
}

fn set_mark(document: &mut Value, kind: Kind, stage: Stage, now: Timestamp) {
    document["rotation"][kind.name()] = json!({ "stage": stage.name(), "at": now.to_string() });
}

fn clear_mark(document: &mut Value, kind: Kind) {
    if let Some(marks) = document.get_mut("rotation").and_then(Value::as_object_mut) {
        marks.remove(kind.name());
    }
}

/// Refuses what comes before `since` and `wait` are over.
fn wait(request: &Request, since: Timestamp, wait: Duration, reason: &'static str) -> Result<(), Refusal> {
    let until = since.plus(wait);
    if request.at_once || request.now >= until { Ok(()) } else { Err(Refusal::TooEarly { reason, until }) }
}

/// What a step comes to, where a rotation is so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    /// List the new value.
    Add,
    /// A new value is listed already.
    AddAgain,
    /// Use it, `added` then, once every function has read of it.
    Activate { added: Timestamp },
    /// Keep the value that is used, and no other.
    KeepFirst,
    /// It is done.
    Nothing,
}

/// Which step may follow on which, the same for every kind.
fn todo(request: &Request, mark: Option<Mark>) -> Result<Todo, Refusal> {
    let name = request.kind.name();
    match (request.phase, mark) {
        (Phase::Add, None) => Ok(Todo::Add),
        (Phase::Add, Some(Mark { stage: Stage::Added, .. })) => Ok(Todo::AddAgain),
        (Phase::Add, Some(_)) => Err(Refusal::UnderWay(name)),
        (Phase::Activate, None) => Err(Refusal::NothingAdded(name)),
        (Phase::Activate, Some(Mark { stage: Stage::Added, at })) => Ok(Todo::Activate { added: at }),
        (Phase::Retire, Some(Mark { stage: Stage::Added, .. })) => Err(Refusal::NotActivated(name)),
        (Phase::Retire, Some(Mark { stage: Stage::Activated, .. })) if request.kind == Kind::LoginKeys => {
            Err(Refusal::NotRekeyed)
        }
        (Phase::Retire, Some(Mark { at, .. })) => {
            wait(request, at, request.kind.outlived_by(request.session_lifetime), STILL_OF_USE)?;
            Ok(Todo::KeepFirst)
        }
        (Phase::Cancel, Some(Mark { stage: Stage::Added, .. })) => Ok(Todo::KeepFirst),
        (Phase::Cancel, Some(_)) => Err(Refusal::InUse(name)),
        (Phase::Activate, Some(_)) | (Phase::Retire | Phase::Cancel, None) => Ok(Todo::Nothing),
    }
}

/// Takes one step. Documents that are refused are as they were.
pub fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    match request.kind {
        Kind::SessionKeys | Kind::CheckpointKeys => signing::step(documents, request),
        Kind::LoginKeys | Kind::CursorKeys | Kind::Wechat | Kind::GatewayToken => lists::step(documents, request),
    }
}

/// When the next step may be taken, and which one it is.
pub fn next(documents: &Documents, kind: Kind, session_lifetime: Duration) -> Option<(&'static str, Timestamp)> {
    let marks = kind.holders().iter().filter_map(|holder| Some((*holder, mark(documents.get(holder)?, kind)?)));
    let (_, latest) = marks.max_by_key(|(_, mark)| mark.at)?;
    Some(match (latest.stage, kind) {
        (Stage::Added, _) => ("activate", latest.at.plus(SPREAD)),
        (Stage::Activated, Kind::LoginKeys) => ("rekey-logins", latest.at.plus(SPREAD)),
        (Stage::Activated | Stage::Rekeyed, _) => ("retire", latest.at.plus(kind.outlived_by(session_lifetime))),
    })
}

/// Whether every user may now be written under the first login key: no function makes one under the old key alone.
pub fn may_rekey(document: &Value, request: &Request) -> Result<(), Refusal> {
    match mark(document, Kind::LoginKeys) {
        Some(Mark { stage: Stage::Activated, at }) => wait(request, at, SPREAD, UNSEEN),
        Some(Mark { stage: Stage::Rekeyed, .. }) => Ok(()),
        Some(Mark { stage: Stage::Added, .. }) => Err(Refusal::NotActivated(Kind::LoginKeys.name())),
        None => Err(Refusal::NothingAdded(Kind::LoginKeys.name())),
    }
}

/// Notes that every user is known under the first login key.
pub fn note_rekeyed(document: &mut Value, now: Timestamp) {
    set_mark(document, Kind::LoginKeys, Stage::Rekeyed, now);
}

const UNSEEN: &str = "some function may not have read the last change";
const STILL_OF_USE: &str = "what was made with the old value is still of use";

#[cfg(test)]
mod tests;
