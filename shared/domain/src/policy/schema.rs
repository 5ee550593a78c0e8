//! The text of `policy/schema.cedarschema`, generated from the catalogue: the facts that policies may use.

use cedar_policy::Schema;

use super::{fault::PolicyFault, policy_files::SCHEMA, policy_set};
use crate::catalogue::{Catalogue, cedar_schema::key};

/// The schema that policies are checked against.
pub(super) fn schema(catalogue: &Catalogue) -> Result<Schema, PolicyFault> {
    policy_set::schema(SCHEMA, &text(catalogue))
}

/// The schema in Cedar's own syntax.
pub(super) fn text(catalogue: &Catalogue) -> String {
    let mut arguments = String::new();
    for tool in catalogue.tools() {
        arguments += &format!("    {}?: {},\n", key(&tool.entry.name), tool.shape);
    }
    format!(
        "{HEAD}\n  // The arguments of each tool, as far as Cedar has types for them.\n  type Arguments = {{\n{arguments}  }};\n{TAIL}"
    )
}

const HEAD: &str = "\
// Generated from tools.toml and schemas/ by `local policy schema`. Do not edit: a test compares it.
namespace MiniProgram {
  entity Group;
  // A user of the Mini Program, by the id that the service gave. Operators set the groups.
  entity User in [Group];
  // effect: \"read\", \"write\" or \"destructive\"
  entity Tool { effect: String, idempotent: Bool };
  // An agent, by its id at the gateway.
  entity Agent;
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

  type Talk = {
    mode: String, // of the service, now
    now: datetime,
    hour: Long, // 0 to 23, UTC
    weekday: Long, // 1 is Monday, UTC
  };

  action talk
    appliesTo { principal: User, resource: Agent, context: Talk };
}
";
