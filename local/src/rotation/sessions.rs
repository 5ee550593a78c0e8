//! Session keys: private halves at edge-auth, public halves at status. edge-auth's document leads.

use serde_json::{Value, json};
use shared::timestamp::Timestamp;

use super::{
    Documents, Done, Holder, Kind, Refusal, Request, SPREAD, Stage, Todo, UNSEEN, clear_mark, mark, set_mark, todo,
    wait,
};

const KIND: Kind = Kind::SessionKeys;

pub(super) fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    let before = documents.clone();
    let mark = mark(edge_auth(documents)?, KIND);
    match todo(request, mark)? {
        // The two documents are written one after the other: a repetition completes what a command that died has begun.
        Todo::Add | Todo::AddAgain => add(documents, request)?,
        Todo::Activate { added } => activate(documents, request, added)?,
        Todo::KeepFirst => keep_active_only(documents)?,
        // The leader is written last, so a command that died between the two documents does not come here.
        Todo::Nothing => return Ok(Done::Already),
    }
    Ok(if *documents == before { Done::Already } else { Done::Changed })
}

fn edge_auth(documents: &mut Documents) -> Result<&mut Value, Refusal> {
    documents.get_mut(&Holder::EdgeAuth).ok_or(Refusal::Shape(Holder::EdgeAuth.function()))
}

fn keys(document: &mut Value, holder: Holder) -> Result<&mut Vec<Value>, Refusal> {
    document.pointer_mut(KIND.list()).and_then(Value::as_array_mut).ok_or(Refusal::Shape(holder.function()))
}

fn active(document: &Value) -> Result<String, Refusal> {
    let active = document.pointer("/sessions/active").and_then(Value::as_str);
    active.map(str::to_owned).ok_or(Refusal::Shape(Holder::EdgeAuth.function()))
}

/// The key that was added and is not active.
fn added(document: &mut Value) -> Result<Option<Value>, Refusal> {
    let active = active(document)?;
    Ok(keys(document, Holder::EdgeAuth)?.iter().find(|key| key["kid"] != *active).cloned())
}

fn add(documents: &mut Documents, request: &Request) -> Result<(), Refusal> {
    let edge = edge_auth(documents)?;
    let key = match (mark(edge, KIND), added(edge)?) {
        (Some(_), Some(key)) => key,
        _ => {
            let (key, active) = (request.fresh.clone().ok_or(Refusal::NoValue)?, active(edge)?);
            let keys = keys(edge, Holder::EdgeAuth)?;
            if keys.iter().any(|key| key["kid"] != *active) {
                return Err(Refusal::Unmarked(Holder::EdgeAuth.function()));
            }
            keys.push(key.clone());
            set_mark(edge, KIND, Stage::Added, request.now);
            key
        }
    };
    let Some(status) = documents.get_mut(&Holder::Status) else { return Ok(()) };
    let keys = keys(status, Holder::Status)?;
    if keys.iter().all(|known| known["kid"] != key["kid"]) {
        keys.push(json!({ "kid": key["kid"], "public": key["public"] }));
        set_mark(status, KIND, Stage::Added, request.now);
    }
    Ok(())
}

fn activate(documents: &mut Documents, request: &Request, mut since: Timestamp) -> Result<(), Refusal> {
    let key = added(edge_auth(documents)?)?.ok_or(Refusal::NothingAdded(KIND.name()))?;
    if let Some(status) = documents.get_mut(&Holder::Status) {
        let incomplete = || Refusal::Incomplete(Holder::Status.function());
        if keys(status, Holder::Status)?.iter().all(|known| known["kid"] != key["kid"]) {
            return Err(incomplete());
        }
        since = since.max(mark(status, KIND).ok_or_else(incomplete)?.at);
    }
    wait(request, since, SPREAD, UNSEEN)?;
    let edge = edge_auth(documents)?;
    edge["sessions"]["active"] = key["kid"].clone();
    set_mark(edge, KIND, Stage::Activated, request.now);
    Ok(())
}

fn keep_active_only(documents: &mut Documents) -> Result<(), Refusal> {
    let active = active(edge_auth(documents)?)?;
    for holder in KIND.holders() {
        let Some(document) = documents.get_mut(holder) else { continue };
        keys(document, *holder)?.retain(|key| key["kid"] == *active);
        clear_mark(document, KIND);
    }
    Ok(())
}
