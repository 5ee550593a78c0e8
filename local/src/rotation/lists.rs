//! Kinds that are a plain list in one document.

use serde_json::Value;

use super::{
    Documents, Done, Kind, Mark, Phase, Refusal, Request, SPREAD, STILL_OF_USE, Stage, UNSEEN, clear_mark, mark,
    set_mark, wait,
};

pub(super) fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    let kind = request.kind;
    let holder = kind.holders()[0];
    let shape = || Refusal::Shape(holder.function());
    let document = documents.get_mut(&holder).ok_or_else(shape)?;
    let stage = mark(document, kind);
    let list = document.pointer_mut(kind.list()).and_then(Value::as_array_mut).ok_or_else(shape)?;
    if list.is_empty() || !list.iter().all(Value::is_string) {
        return Err(shape());
    }
    let done = change(list, stage, request)?;
    match (request.phase, done) {
        (_, Done::Already) => {}
        (Phase::Add, Done::Changed) => set_mark(document, kind, Stage::Added, request.now),
        (Phase::Activate, Done::Changed) => set_mark(document, kind, Stage::Activated, request.now),
        (Phase::Retire | Phase::Cancel, Done::Changed) => clear_mark(document, kind),
    }
    Ok(done)
}

fn change(list: &mut Vec<Value>, mark: Option<Mark>, request: &Request) -> Result<Done, Refusal> {
    let (kind, name) = (request.kind, request.kind.name());
    match (request.phase, mark) {
        (Phase::Add, None) => {
            let fresh = request.fresh.clone().ok_or(Refusal::NoValue)?;
            if list.contains(&fresh) {
                return Err(Refusal::SameValue);
            }
            if list.len() > 1 {
                return Err(Refusal::Unmarked(kind.holders()[0].function()));
            }
            list.push(fresh);
            Ok(Done::Changed)
        }
        // A key that is made here need not be made twice; a value that is given must be the same one.
        (Phase::Add, Some(Mark { stage: Stage::Added, .. }))
            if !kind.is_given() || list.get(1) == request.fresh.as_ref() =>
        {
            Ok(Done::Already)
        }
        (Phase::Add, Some(_)) => Err(Refusal::UnderWay(name)),
        (Phase::Activate, Some(Mark { stage: Stage::Added, at })) => {
            wait(request, at, SPREAD, UNSEEN)?;
            list.reverse();
            Ok(Done::Changed)
        }
        (Phase::Activate, Some(_)) => Ok(Done::Already),
        (Phase::Activate, None) => Err(Refusal::NothingAdded(name)),
        (Phase::Retire, Some(Mark { stage: Stage::Activated, .. })) if kind == Kind::LoginKeys => {
            Err(Refusal::NotRekeyed)
        }
        (Phase::Retire, Some(Mark { stage: Stage::Activated | Stage::Rekeyed, at })) => {
            wait(request, at, kind.outlived_by(request.session_lifetime), STILL_OF_USE)?;
            list.truncate(1);
            Ok(Done::Changed)
        }
        (Phase::Retire, Some(_)) => Err(Refusal::NotActivated(name)),
        (Phase::Retire | Phase::Cancel, None) => Ok(Done::Already),
        (Phase::Cancel, Some(Mark { stage: Stage::Added, .. })) => {
            list.truncate(1);
            Ok(Done::Changed)
        }
        (Phase::Cancel, Some(_)) => Err(Refusal::InUse(name)),
    }
}
