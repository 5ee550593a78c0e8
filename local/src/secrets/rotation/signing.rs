//! Rotation of signing keys, of which one is active. For sessions, edge-auth's document is the leader and has the
//! private halves, and status has the public halves. For checkpoints, sweep alone has both halves.

use domain::ids::Timestamp;
use serde_json::{Value, json};

use super::{
    Documents, Done, Holder, Kind, Refusal, Request, SPREAD, Stage, Todo, UNSEEN, clear_mark, mark, set_mark, todo,
    wait,
};

pub(super) fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    let (kind, before) = (request.kind, documents.clone());
    let mark = mark(leader(documents, kind)?, kind);
    match todo(request, mark)? {
        // Two documents are written one after the other: repeating the step completes what an interrupted command has
        // begun.
        Todo::Add | Todo::AddAgain => add(documents, request)?,
        Todo::Activate { added } => activate(documents, request, added)?,
        Todo::KeepFirst => keep_active_only(documents, kind)?,
        // The leader is written last, so a command that was interrupted between the two documents does not reach this.
        Todo::Nothing => return Ok(Done::Already),
    }
    Ok(if *documents == before { Done::Already } else { Done::Changed })
}

/// The holder of the private halves.
const fn leads(kind: Kind) -> Holder {
    kind.holders()[0]
}

/// Holders of the public halves only.
fn followers(kind: Kind) -> &'static [Holder] {
    kind.holders().get(1..).unwrap_or_default()
}

fn leader(documents: &mut Documents, kind: Kind) -> Result<&mut Value, Refusal> {
    documents.get_mut(&leads(kind)).ok_or(Refusal::Shape(leads(kind).function()))
}

fn keys(document: &mut Value, kind: Kind, holder: Holder) -> Result<&mut Vec<Value>, Refusal> {
    document.pointer_mut(kind.list()).and_then(Value::as_array_mut).ok_or(Refusal::Shape(holder.function()))
}

/// The id of the active key, which the document keeps next to the list.
fn active_at(document: &mut Value, kind: Kind) -> Option<&mut Value> {
    let (parent, _) = kind.list().rsplit_once('/')?;
    document.pointer_mut(parent)?.get_mut("active")
}

fn active(document: &mut Value, kind: Kind) -> Result<String, Refusal> {
    let active = active_at(document, kind).and_then(|active| active.as_str());
    active.map(str::to_owned).ok_or(Refusal::Shape(leads(kind).function()))
}

/// The key that was added and is not active.
fn added(document: &mut Value, kind: Kind) -> Result<Option<Value>, Refusal> {
    let active = active(document, kind)?;
    Ok(keys(document, kind, leads(kind))?.iter().find(|key| key["kid"] != *active).cloned())
}

fn add(documents: &mut Documents, request: &Request) -> Result<(), Refusal> {
    let kind = request.kind;
    let document = leader(documents, kind)?;
    let key = match (mark(document, kind), added(document, kind)?) {
        (Some(_), Some(key)) => key,
        _ => {
            let (key, active) = (request.fresh.clone().ok_or(Refusal::NoValue)?, active(document, kind)?);
            let keys = keys(document, kind, leads(kind))?;
            if keys.iter().any(|key| key["kid"] != *active) {
                return Err(Refusal::Unmarked(leads(kind).function()));
            }
            keys.push(key.clone());
            set_mark(document, kind, Stage::Added, request.now);
            key
        }
    };
    for holder in followers(kind) {
        let Some(document) = documents.get_mut(holder) else { continue };
        let keys = keys(document, kind, *holder)?;
        if keys.iter().all(|known| known["kid"] != key["kid"]) {
            keys.push(json!({ "kid": key["kid"], "public": key["public"] }));
            set_mark(document, kind, Stage::Added, request.now);
        }
    }
    Ok(())
}

fn activate(documents: &mut Documents, request: &Request, mut since: Timestamp) -> Result<(), Refusal> {
    let kind = request.kind;
    let key = added(leader(documents, kind)?, kind)?.ok_or(Refusal::NothingAdded(kind.name()))?;
    for holder in followers(kind) {
        let Some(document) = documents.get_mut(holder) else { continue };
        let incomplete = || Refusal::Incomplete(holder.function());
        if keys(document, kind, *holder)?.iter().all(|known| known["kid"] != key["kid"]) {
            return Err(incomplete());
        }
        since = since.max(mark(document, kind).ok_or_else(incomplete)?.at);
    }
    wait(request, since, SPREAD, UNSEEN)?;
    let document = leader(documents, kind)?;
    if let Some(active) = active_at(document, kind) {
        *active = key["kid"].clone();
    }
    set_mark(document, kind, Stage::Activated, request.now);
    Ok(())
}

fn keep_active_only(documents: &mut Documents, kind: Kind) -> Result<(), Refusal> {
    let active = active(leader(documents, kind)?, kind)?;
    for holder in kind.holders() {
        let Some(document) = documents.get_mut(holder) else { continue };
        keys(document, kind, *holder)?.retain(|key| key["kid"] == *active);
        clear_mark(document, kind);
    }
    Ok(())
}
