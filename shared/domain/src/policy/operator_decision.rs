//! Decisions about operators' calls: `policy/operators.cedar`, with a schema of its own.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, OnceLock},
};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};

use super::{
    cedar_request::hour_and_weekday,
    fault::PolicyFault,
    policy_files::{OPERATORS, PolicyFiles},
    policy_set::{self, RuleSet, Verdict},
};
use crate::ids::{OperatorId, Timestamp};

/// Name of the schema file.
const OPERATORS_SCHEMA: &str = "operators.cedarschema";

/// Kind of an operator's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperatorAction {
    /// Read.
    View,
    /// Approve or reject an approval request.
    Decide,
    /// Set modes, switches and groups, revoke sessions, resolve unknown jobs.
    Administer,
}

impl OperatorAction {
    /// Every action, least powerful first.
    pub const ALL: [Self; 3] = [Self::View, Self::Decide, Self::Administer];

    /// The name as policies spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Decide => "decide",
            Self::Administer => "administer",
        }
    }
}

/// Facts about one call of an operator that policies may use.
#[derive(Debug, Clone, Copy)]
pub struct OperatorQuery<'a> {
    /// The operator.
    pub operator_id: OperatorId,
    /// The roles in the operator's token, including those that no policy knows.
    pub roles: &'a BTreeSet<String>,
    /// Kind of the call.
    pub action: OperatorAction,
    /// Whether the call concerns a request of a user id that the operator has registered as their own.
    pub own: bool,
    /// Time of the decision.
    pub now: Timestamp,
}

/// The policies about operators.
#[derive(Debug)]
pub struct OperatorPolicy {
    rules: RuleSet,
    operator: EntityTypeName,
    role: EntityTypeName,
    service: EntityUid,
    action: EntityTypeName,
    version: String,
}

impl OperatorPolicy {
    /// The policy files that were compiled into this program, parsed once in a process.
    pub fn built_in() -> Result<Arc<Self>, PolicyFault> {
        static BUILT_IN: OnceLock<Arc<OperatorPolicy>> = OnceLock::new();
        if let Some(policy) = BUILT_IN.get() {
            return Ok(Arc::clone(policy));
        }
        let parsed = Arc::new(Self::parse(&PolicyFiles::built_in())?);
        Ok(Arc::clone(BUILT_IN.get_or_init(|| parsed)))
    }

    /// Parses and checks the files. Returns the first fault, with its place.
    pub fn parse(files: &PolicyFiles) -> Result<Self, PolicyFault> {
        let text = |file: &str| files.text(file).ok_or_else(|| PolicyFault::Missing { file: file.to_owned() });
        let schema = policy_set::schema(OPERATORS_SCHEMA, text(OPERATORS_SCHEMA)?)?;
        let name =
            |name: &str| -> EntityTypeName { format!("Operators::{name}").parse().expect("it is a name of Cedar's") };
        Ok(Self {
            rules: RuleSet::parse(schema, [(OPERATORS, text(OPERATORS)?)])?,
            operator: name("Operator"),
            role: name("Role"),
            service: EntityUid::from_type_name_and_id(name("Service"), EntityId::new("service")),
            action: name("Action"),
            version: files.version(),
        })
    }

    /// A short digest of every policy file, for audit records.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Warnings of Cedar's validator about the policies.
    pub fn warnings(&self) -> &[String] {
        self.rules.warnings()
    }

    /// Decides an operator's call. Default deny; a policy that cannot be evaluated denies.
    pub fn decide(&self, query: &OperatorQuery<'_>) -> Verdict {
        policy_set::on_enough_stack(|| match self.case(query) {
            Ok((request, entities)) => self.rules.ask(&request, &entities),
            Err(problem) => Verdict { errors: [problem.to_owned()].into(), ..Verdict::default() },
        })
    }

    fn case(&self, query: &OperatorQuery<'_>) -> Result<(Request, Entities), &'static str> {
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let role = |name: &str| uid(&self.role, name);
        let operator = uid(&self.operator, &query.operator_id.to_string());
        let roles: HashSet<EntityUid> = query.roles.iter().map(|name| role(name)).collect();
        // Each role includes the permissions of the next lower one.
        let parents = [("admin", "approver"), ("approver", "viewer")];
        let parents = parents.map(|(above, below)| Entity::new_no_attrs(role(above), HashSet::from([role(below)])));
        let subject = [Entity::new_no_attrs(operator.clone(), roles), Entity::with_uid(self.service.clone())];
        let entities = parents.into_iter().chain(subject);
        let entities = Entities::from_entities(entities, None).map_err(|_| "the roles do not fit together")?;
        let (hour, weekday) = hour_and_weekday(query.now);
        let context = Context::from_pairs([
            ("own".to_owned(), RestrictedExpression::new_bool(query.own)),
            ("now".to_owned(), RestrictedExpression::new_datetime(query.now.to_string())),
            ("hour".to_owned(), RestrictedExpression::new_long(hour)),
            ("weekday".to_owned(), RestrictedExpression::new_long(weekday)),
        ]);
        let context = context.map_err(|_| "the time cannot be held")?;
        let action = uid(&self.action, query.action.name());
        let request = Request::new(operator, action, self.service.clone(), context, None);
        Ok((request.map_err(|_| "the call does not fit the schema")?, entities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn query(roles: &BTreeSet<String>, action: OperatorAction, own: bool) -> OperatorQuery<'_> {
        let now = Timestamp::parse(&json!("2026-11-22T10:00:00Z")).unwrap();
        OperatorQuery { operator_id: OperatorId::from_random([7; 16]), roles, action, own, now }
    }

    #[test]
    fn each_role_has_what_the_one_below_it_has() {
        let policy = OperatorPolicy::built_in().unwrap();
        assert_eq!(policy.warnings(), [""; 0]);
        for (roles, may) in [
            (&["viewer"][..], [true, false, false]),
            (&["approver"], [true, true, false]),
            (&["admin"], [true, true, true]),
            (&["viewer", "approver"], [true, true, false]),
            (&[], [false, false, false]),
            (&["Admin", "root", ""], [false, false, false]),
        ] {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            let decided = OperatorAction::ALL.map(|action| policy.decide(&query(&roles, action, false)).permitted);
            assert_eq!(decided, may, "{roles:?}");
        }
    }

    #[test]
    fn no_operator_decides_their_own_request() {
        let policy = OperatorPolicy::built_in().unwrap();
        for role in ["approver", "admin"] {
            let roles = [role.to_owned()].into();
            let decided = policy.decide(&query(&roles, OperatorAction::Decide, true));
            assert_eq!((decided.permitted, decided.policies), (false, ["nobody-decides-their-own".to_owned()].into()));
            assert!(policy.decide(&query(&roles, OperatorAction::View, true)).permitted);
        }
    }

    #[test]
    fn a_file_that_is_wrong_or_missing_is_named() {
        let built_in = PolicyFiles::built_in();
        let fault = |files: &PolicyFiles| OperatorPolicy::parse(files).unwrap_err().to_string();
        let broken = built_in.clone().with(OPERATORS, "@id(\"a\")\npermit (principal, action == nonsense, resource);");
        assert!(fault(&broken).starts_with("policy/operators.cedar:2:"), "{}", fault(&broken));
        let other = built_in.with(OPERATORS_SCHEMA, "entity Role;\nentity Operator in [Rolle];");
        assert!(fault(&other).starts_with("policy/operators.cedarschema:"), "{}", fault(&other));
        assert_eq!(fault(&PolicyFiles::default()), "policy/operators.cedarschema is missing or is not UTF-8");
    }
}
