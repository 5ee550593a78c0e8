//! Builds Cedar's requests and entities: users, groups, tools, agents, and the context of one call or turn.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};

use super::{CallQuery, PolicyDecision, TurnQuery};
use crate::{
    access::service_mode::Mode,
    catalogue::{Tool, ToolEffect},
    ids::{Timestamp, UserId},
};

/// The only action of a request about a turn.
const TALK: &str = "talk";

/// The decisions whose names are the three actions of a request about a call, least restricted first. The first
/// permitted one decides.
const ASKED: [PolicyDecision; 3] =
    [PolicyDecision::Run, PolicyDecision::RunIfUserApproves, PolicyDecision::RunIfOperatorApproves];

/// Names of Cedar's types, parsed once.
#[derive(Debug)]
pub(super) struct Model {
    user: EntityTypeName,
    group: EntityTypeName,
    tool: EntityTypeName,
    agent: EntityTypeName,
    action: EntityTypeName,
}

/// A call in Cedar's terms: three requests that differ only in the action.
pub(super) struct Case {
    pub(super) requests: [(PolicyDecision, Request); 3],
    pub(super) entities: Entities,
}

impl Model {
    pub(super) fn new() -> Self {
        let kind = |name: &str| format!("MiniProgram::{name}").parse().expect("it is a name of Cedar's");
        Self {
            user: kind("User"),
            group: kind("Group"),
            tool: kind("Tool"),
            agent: kind("Agent"),
            action: kind("Action"),
        }
    }

    /// Builds the requests of one call. The error names the value that Cedar cannot represent.
    pub(super) fn case(&self, query: &CallQuery<'_>, tool: &Tool, mode: Mode) -> Result<Case, String> {
        let attributes = HashMap::from([
            ("effect".to_owned(), RestrictedExpression::new_string(effect(tool.entry.effect).to_owned())),
            ("idempotent".to_owned(), RestrictedExpression::new_bool(tool.entry.idempotent)),
        ]);
        let resource = uid(&self.tool, &tool.entry.name);
        let entity = Entity::new(resource.clone(), attributes, HashSet::new()).map_err(|error| error.to_string())?;
        let (user, principal) = self.user(query.user_id, query.groups);
        let entities = Entities::from_entities([principal, entity], None)
            .map_err(|_| "the user and the tool do not fit together".to_owned())?;
        let context = context(query, tool, mode)?;
        let request = |asked: PolicyDecision| {
            let action = uid(&self.action, asked.name());
            Request::new(user.clone(), action, resource.clone(), context.clone(), None)
                .map(|request| (asked, request))
                .map_err(|_| "the call does not fit the schema".to_owned())
        };
        let [run, user_approves, operator_approves] = ASKED;
        let requests = [request(run)?, request(user_approves)?, request(operator_approves)?];
        Ok(Case { requests, entities })
    }

    /// Builds the request of one turn. The error names the value that Cedar cannot represent.
    pub(super) fn talk(&self, query: &TurnQuery<'_>, mode: Mode) -> Result<(Request, Entities), String> {
        let (user, principal) = self.user(query.user_id, query.groups);
        let resource = uid(&self.agent, query.agent);
        let entity = Entity::new_no_attrs(resource.clone(), HashSet::new());
        let entities = Entities::from_entities([principal, entity], None)
            .map_err(|_| "the user and the agent do not fit together".to_owned())?;
        let context = Context::from_pairs(moment(query.now, mode)).map_err(|_| "the time cannot be held".to_owned())?;
        let request = Request::new(user, uid(&self.action, TALK), resource, context, None)
            .map_err(|_| "the turn does not fit the schema".to_owned())?;
        Ok((request, entities))
    }

    fn user(&self, user_id: UserId, groups: &BTreeSet<String>) -> (EntityUid, Entity) {
        let user = uid(&self.user, &user_id.to_string());
        let groups = groups.iter().map(|group| uid(&self.group, group)).collect();
        (user.clone(), Entity::new_no_attrs(user, groups))
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn context(query: &CallQuery<'_>, tool: &Tool, mode: Mode) -> Result<Context, String> {
    let seen = tool.shape.see(query.arguments).map_err(|misfit| misfit.to_string())?;
    let arguments = RestrictedExpression::new_record([(tool.entry.name.clone(), seen)])
        .map_err(|_| "an argument is there twice".to_owned())?;
    let of_the_call = [
        ("arguments".to_owned(), arguments),
        ("derived".to_owned(), RestrictedExpression::new_bool(query.derived)),
        ("audited".to_owned(), RestrictedExpression::new_bool(query.audited)),
    ];
    // Cedar's own message is dropped: it would quote the value.
    Context::from_pairs(of_the_call.into_iter().chain(moment(query.now, mode)))
        .map_err(|_| "an argument or the time cannot be held".to_owned())
}

/// The part of the context that does not depend on the request.
fn moment(now: Timestamp, mode: Mode) -> [(String, RestrictedExpression); 4] {
    let (hour, weekday) = hour_and_weekday(now);
    [
        ("mode".to_owned(), RestrictedExpression::new_string(mode.name().to_owned())),
        ("now".to_owned(), RestrictedExpression::new_datetime(now.to_string())),
        ("hour".to_owned(), RestrictedExpression::new_long(hour)),
        ("weekday".to_owned(), RestrictedExpression::new_long(weekday)),
    ]
}

/// The effect class as policies spell it.
pub(super) const fn effect(effect: ToolEffect) -> &'static str {
    match effect {
        ToolEffect::Read => "read",
        ToolEffect::Write => "write",
        ToolEffect::Destructive => "destructive",
    }
}

/// Hour of the day and day of the week in UTC; 1 is Monday.
pub(super) fn hour_and_weekday(now: Timestamp) -> (i64, i64) {
    const HOUR: i64 = 3_600_000;
    let (day, hour) = (now.millis().div_euclid(24 * HOUR), now.millis().rem_euclid(24 * HOUR) / HOUR);
    // 1 January 1970 was a Thursday.
    (hour, (day + 3).rem_euclid(7) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hours_and_weekdays_are_those_of_utc() {
        for (time, hour, weekday) in [
            ("2026-11-22T10:00:00Z", 10, 7),
            ("2026-11-23T00:00:00Z", 0, 1),
            ("2026-11-23T07:59:59.999+08:00", 23, 7),
            ("2024-02-29T23:59:59Z", 23, 4),
        ] {
            let now = Timestamp::parse(&json!(time)).unwrap();
            assert_eq!(hour_and_weekday(now), (hour, weekday), "{time}");
        }
        assert_eq!(hour_and_weekday(Timestamp::from_millis(-1)), (23, 3), "31 December 1969 was a Wednesday");
    }
}
