//! Rotation of secrets that are a plain list. The first holder's document is the leader; the other holders that have
//! the list get the same one.

use serde_json::Value;

use super::{
    Documents, Done, Holder, Refusal, Request, SPREAD, Stage, Todo, UNSEEN, clear_mark, mark, set_mark, todo, wait,
};

pub(super) fn step(documents: &mut Documents, request: &Request) -> Result<Done, Refusal> {
    let (kind, before) = (request.kind, documents.clone());
    let leader = kind.holders()[0];
    lead(documents, request, leader)?;
    let listed = documents.get(&leader).and_then(|document| document.pointer(kind.list())).cloned();
    for holder in kind.holders().iter().skip(1) {
        let list = documents.get_mut(holder).and_then(|document| document.pointer_mut(kind.list()));
        if let (Some(list), Some(listed)) = (list, &listed) {
            list.clone_from(listed);
        }
    }
    Ok(if *documents == before { Done::Already } else { Done::Changed })
}

fn lead(documents: &mut Documents, request: &Request, leader: Holder) -> Result<(), Refusal> {
    let kind = request.kind;
    let function = leader.function();
    let shape = || Refusal::Shape(function);
    let document = documents.get_mut(&leader).ok_or_else(shape)?;
    let mark = mark(document, kind);
    let list = document.pointer_mut(kind.list()).and_then(Value::as_array_mut).ok_or_else(shape)?;
    if list.is_empty() || !list.iter().all(Value::is_string) {
        return Err(shape());
    }
    match todo(request, mark)? {
        Todo::Add => {
            let fresh = request.fresh.clone().ok_or(Refusal::NoValue)?;
            if list.contains(&fresh) {
                return Err(Refusal::SameValue);
            }
            if list.len() > 1 {
                return Err(Refusal::Unmarked(function));
            }
            list.push(fresh);
            set_mark(document, kind, Stage::Added, request.now);
        }
        // A generated key need not be generated again, but a given value must be the same one.
        Todo::AddAgain if kind.is_given() && list.get(1) != request.fresh.as_ref() => {
            return Err(Refusal::UnderWay(kind.name()));
        }
        Todo::Activate { added } => {
            wait(request, added, SPREAD, UNSEEN)?;
            list.reverse();
            set_mark(document, kind, Stage::Activated, request.now);
        }
        Todo::KeepFirst => {
            list.truncate(1);
            clear_mark(document, kind);
        }
        // Repeating the step completes what an interrupted command has begun in the other documents.
        Todo::AddAgain | Todo::Nothing => {}
    }
    Ok(())
}
