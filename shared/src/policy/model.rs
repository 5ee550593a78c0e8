//! What policies about tools speak of: users, groups, tools, and what is known of one call.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};

use super::{
    Asked,
    fault::PolicyFault,
    files::SCHEMA,
    rules,
    shape::{Shape, key},
};
use crate::{
    catalogue::{Catalogue, Tool, ToolEffect},
    mode::Mode,
    timestamp::Timestamp,
};

/// The three questions about a call, from the freest. The first that is permitted decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Run,
    RunIfUserApproves,
    RunIfOperatorApproves,
}

impl Question {
    pub(super) const ALL: [Self; 3] = [Self::Run, Self::RunIfUserApproves, Self::RunIfOperatorApproves];

    const fn action(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunIfUserApproves => "run_if_user_approves",
            Self::RunIfOperatorApproves => "run_if_operator_approves",
        }
    }
}

/// The names of Cedar's types, parsed once, and the shape of each tool's arguments.
#[derive(Debug)]
pub(super) struct Model {
    user: EntityTypeName,
    group: EntityTypeName,
    tool: EntityTypeName,
    action: EntityTypeName,
    shapes: BTreeMap<String, Shape>,
}

/// A call in Cedar's terms: three requests that differ in the action alone.
pub(super) struct Case {
    pub(super) requests: [(Question, Request); 3],
    pub(super) entities: Entities,
}

impl Model {
    /// Of a catalogue.
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let kind = |name: &str| format!("MiniProgram::{name}").parse().expect("it is a name of Cedar's");
        let shapes = catalogue.tools().map(|tool| (tool.entry.name.clone(), arguments(tool)));
        Self {
            user: kind("User"),
            group: kind("Group"),
            tool: kind("Tool"),
            action: kind("Action"),
            shapes: shapes.collect(),
        }
    }

    /// The schema that policies are checked against, and the text of `policy/schema.cedarschema`.
    pub(super) fn schema(&self) -> Result<Schema, PolicyFault> {
        rules::schema(SCHEMA, &self.schema_text())
    }

    /// In Cedar's own syntax.
    pub(super) fn schema_text(&self) -> String {
        let mut arguments = String::new();
        for (name, shape) in &self.shapes {
            arguments += &format!("    {}?: {shape},\n", key(name));
        }
        format!(
            "{HEAD}\n  // The arguments of each tool, as far as Cedar has types for them.\n  type Arguments = {{\n{arguments}  }};\n{TAIL}"
        )
    }

    /// One call. An error names what of it Cedar cannot hold.
    pub(super) fn case(&self, asked: &Asked<'_>, tool: &Tool, mode: Mode) -> Result<Case, String> {
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let user = uid(&self.user, &asked.user_id.to_string());
        let groups: HashSet<EntityUid> = asked.groups.iter().map(|group| uid(&self.group, group)).collect();
        let resource = uid(&self.tool, &tool.entry.name);
        let attributes = HashMap::from([
            ("effect".to_owned(), RestrictedExpression::new_string(effect(tool.entry.effect).to_owned())),
            ("idempotent".to_owned(), RestrictedExpression::new_bool(tool.entry.idempotent)),
        ]);
        let resource_entity =
            Entity::new(resource.clone(), attributes, HashSet::new()).map_err(|error| error.to_string())?;
        let principal_entity = Entity::new_no_attrs(user.clone(), groups);
        let entities = Entities::from_entities([principal_entity, resource_entity], None)
            .map_err(|_| "the user and the tool do not fit together".to_owned())?;
        let context = self.context(asked, tool, mode)?;
        let request = |question: Question| {
            let action = uid(&self.action, question.action());
            Request::new(user.clone(), action, resource.clone(), context.clone(), None)
                .map(|request| (question, request))
                .map_err(|_| "the call does not fit the schema".to_owned())
        };
        let [run, user_approves, operator_approves] = Question::ALL;
        let requests = [request(run)?, request(user_approves)?, request(operator_approves)?];
        Ok(Case { requests, entities })
    }

    fn context(&self, asked: &Asked<'_>, tool: &Tool, mode: Mode) -> Result<Context, String> {
        let name = &tool.entry.name;
        let shape = self.shapes.get(name).ok_or_else(|| "the tool is not in the schema".to_owned())?;
        let seen = shape.see(asked.arguments).map_err(|misfit| misfit.to_string())?;
        let arguments = RestrictedExpression::new_record([(name.clone(), seen)])
            .map_err(|_| "an argument is there twice".to_owned())?;
        let (hour, weekday) = hour_and_weekday(asked.now);
        Context::from_pairs([
            ("arguments".to_owned(), arguments),
            ("mode".to_owned(), RestrictedExpression::new_string(mode.name().to_owned())),
            ("derived".to_owned(), RestrictedExpression::new_bool(asked.derived)),
            ("audited".to_owned(), RestrictedExpression::new_bool(asked.audited)),
            ("now".to_owned(), RestrictedExpression::new_datetime(asked.now.to_string())),
            ("hour".to_owned(), RestrictedExpression::new_long(hour)),
            ("weekday".to_owned(), RestrictedExpression::new_long(weekday)),
        ])
        // Cedar's own words would quote the value.
        .map_err(|_| "an argument or the time cannot be held".to_owned())
    }
}

fn arguments(tool: &Tool) -> Shape {
    tool.schema.as_object().map_or_else(|| Shape::Record(BTreeMap::new()), Shape::record)
}

/// As policies spell it.
pub(super) const fn effect(effect: ToolEffect) -> &'static str {
    match effect {
        ToolEffect::Read => "read",
        ToolEffect::Write => "write",
        ToolEffect::Destructive => "destructive",
    }
}

/// Of the day and of the week, in UTC; Monday is 1.
pub(super) fn hour_and_weekday(now: Timestamp) -> (i64, i64) {
    const HOUR: i64 = 3_600_000;
    let (day, hour) = (now.millis().div_euclid(24 * HOUR), now.millis().rem_euclid(24 * HOUR) / HOUR);
    // 1 January 1970 was a Thursday.
    (hour, (day + 3).rem_euclid(7) + 1)
}

const HEAD: &str = "\
// Generated from tools.toml and schemas/ by `local policy schema`. Do not edit: a test compares it.
namespace MiniProgram {
  entity Group;
  // A user of the Mini Program, by the id that the service gave. Operators set the groups.
  entity User in [Group];
  // effect: \"read\", \"write\" or \"destructive\"
  entity Tool { effect: String, idempotent: Bool };
";

const TAIL: &str = "
  type Call = {
    arguments: Arguments, // of the tool that is called; the others are absent
    mode: String, // \"full\", \"read_only\", \"explain_only\" or \"closed\": of the tool, now
    derived: Bool, // an argument comes from a turn or an earlier step, not from the user
    audited: Bool, // the audit record could be written
    now: datetime,
    hour: Long, // 0 to 23, UTC
    weekday: Long, // 1 is Monday, UTC
  };

  action run, run_if_user_approves, run_if_operator_approves
    appliesTo { principal: User, resource: Tool, context: Call };
}
";

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
