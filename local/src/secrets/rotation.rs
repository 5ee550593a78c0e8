//! Rotation of secrets, as changes of documents. Pure: takes documents and a time, and returns documents or a refusal.
//!
//! Each function caches its document for up to [`MAX_AGE`]. So a value goes through phases, and between two of them
//! every function must have read the first: `add` lists the value second, where it is accepted; `activate` puts it
//! first, where it is used; `retire` removes the old value, once nothing that was made with it is in use. The documents
//! keep, under `rotation`, the phase and since when it applies.

use std::{collections::BTreeMap, time::Duration};

use clap::ValueEnum;
use domain::{access::session::SKEW, ids::Timestamp};
use platform::secrets::MAX_AGE;
use serde_json::{Value, json};

mod lists;
mod refusal;
mod signing;

pub use refusal::Refusal;

/// The time until every function has read a change: the age limit of the caches, and a minute for running requests and
/// differences between clocks.
pub const SPREAD: Duration = Duration::from_secs(MAX_AGE.as_secs() + 60);
/// How long a cursor has to stay valid at least. A cursor has no expiry; a list that is continued later starts again.
pub const CURSOR_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The kind of secret that is rotated.
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
    /// Remove the old value
    Retire,
    /// Undo an `add` that was not activated
    Cancel,
}

/// The function that a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// edge-auth.
    EdgeAuth,
    /// status.
    Status,
    /// The worker.
    Worker,
    /// sweep.
    Sweep,
}

impl Holder {
    /// Every holder.
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
    /// The holders of this kind's documents. The first is the leader: its document tells the phase of the rotation.
    pub const fn holders(self) -> &'static [Holder] {
        match self {
            Self::SessionKeys => &[Holder::EdgeAuth, Holder::Status],
            Self::LoginKeys => &[Holder::EdgeAuth],
            // The worker's document lists it only where notifications are sent.
            Self::Wechat => &[Holder::EdgeAuth, Holder::Worker],
            Self::CursorKeys => &[Holder::Status],
            Self::GatewayToken => &[Holder::Worker],
            Self::CheckpointKeys => &[Holder::Sweep],
        }
    }

    /// Whether the new value is given by the operator, and not generated.
    pub const fn is_given(self) -> bool {
        matches!(self, Self::Wechat | Self::GatewayToken)
    }

    /// The name on the command line and in documents.
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

    /// JSON pointer of the list. For signing keys there is an active key, too.
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

    /// How long the old value is needed after the new one was activated.
    pub fn outlived_by(self, session_lifetime: Duration) -> Duration {
        match self {
            Self::SessionKeys => SPREAD + session_lifetime + SKEW,
            Self::CursorKeys => SPREAD + CURSOR_LIFETIME,
            // The end is when every user is known under the new key, and that step has waited already.
            Self::LoginKeys => Duration::ZERO,
            // Checkpoints are verified with the published public keys, not by a function.
            Self::Wechat | Self::GatewayToken | Self::CheckpointKeys => SPREAD,
        }
    }
}

impl Phase {
    /// The order in which documents are written: repeating an interrupted command completes it, and no function signs
    /// what another cannot verify. The leader is written first when a value is added or activated, and last when one is
    /// removed.
    pub fn in_order(self, holders: &[Holder]) -> Vec<Holder> {
        let mut order = holders.to_vec();
        if self != Self::Add {
            order.reverse();
        }
        order
    }
}

/// Documents by holder. On one host all parts are in one document, which counts as that of the kind's leader.
pub type Documents = BTreeMap<Holder, Value>;

/// Input of a step.
pub struct Request {
    /// The kind of secret.
    pub kind: Kind,
    /// The step.
    pub phase: Phase,
    /// The new value, for `add`. For signing keys, the key's object.
    pub fresh: Option<Value>,
    /// Lifetime of sessions.
    pub session_lifetime: Duration,
    /// Skips the waiting times: for a value that has leaked.
    pub at_once: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Documents were changed.
    Changed,
    /// The step had been taken before.
    Already,
}

/// The phase of a rotation, as one document keeps it.
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

/// Refuses a step until `wait` has passed since `since`.
fn wait(request: &Request, since: Timestamp, wait: Duration, reason: &'static str) -> Result<(), Refusal> {
    let until = since.plus(wait);
    if request.at_once || request.now >= until { Ok(()) } else { Err(Refusal::TooEarly { reason, until }) }
}

/// What a step does, given the present phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    /// List the new value.
    Add,
    /// A new value is listed already.
    AddAgain,
    /// Use the new value, which was listed at `added`, once every function has read that.
    Activate { added: Timestamp },
    /// Remove every value except the first.
    KeepFirst,
    /// The step was taken before.
    Nothing,
}

/// Which step may follow which phase; the same for every kind.
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

/// Takes one step. A refused step leaves the documents unchanged.
pub fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    match request.kind {
        Kind::SessionKeys | Kind::CheckpointKeys => signing::step(documents, request),
        Kind::LoginKeys | Kind::CursorKeys | Kind::Wechat | Kind::GatewayToken => lists::step(documents, request),
    }
}

/// The next step, and the earliest time for it.
pub fn next(documents: &Documents, kind: Kind, session_lifetime: Duration) -> Option<(&'static str, Timestamp)> {
    let marks = kind.holders().iter().filter_map(|holder| Some((*holder, mark(documents.get(holder)?, kind)?)));
    let (_, latest) = marks.max_by_key(|(_, mark)| mark.at)?;
    Some(match (latest.stage, kind) {
        (Stage::Added, _) => ("activate", latest.at.plus(SPREAD)),
        (Stage::Activated, Kind::LoginKeys) => ("rekey-logins", latest.at.plus(SPREAD)),
        (Stage::Activated | Stage::Rekeyed, _) => ("retire", latest.at.plus(kind.outlived_by(session_lifetime))),
    })
}

/// Whether every user may be written under the first login key now, because no function writes users under the old key
/// alone any more.
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
