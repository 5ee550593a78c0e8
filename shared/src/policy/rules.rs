//! A set of Cedar policies that was read, checked and can be asked. Nothing here knows about tools or operators.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, EvaluationError, PolicyId, PolicySet, Request, Schema,
    ValidationMode, Validator,
};

use super::fault::{Place, PolicyFault};

/// Policies that parse, fit their schema, and have an `@id` each.
#[derive(Debug)]
pub(super) struct RuleSet {
    policies: PolicySet,
    authorizer: Authorizer,
    warnings: Vec<String>,
}

/// What a set of policies says to one question.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Some policy permits, none forbids, and each could be evaluated.
    pub(super) permitted: bool,
    /// The `@id` of those that made it so: the permits, or else the forbids.
    pub(super) policies: BTreeSet<String>,
    /// Policies that could not be evaluated, and why. Never quotes a value.
    pub(super) errors: BTreeSet<String>,
}

/// A schema in Cedar's own syntax.
pub(super) fn schema(file: &str, text: &str) -> Result<Schema, PolicyFault> {
    let (schema, _warnings) = Schema::from_cedarschema_str(text).map_err(|error| PolicyFault::File {
        file: file.to_owned(),
        place: Place::pointed_at(text, &error, 0),
        problem: sentence(&error),
    })?;
    Ok(schema)
}

impl RuleSet {
    /// Reads and checks every file: `(path, text)`.
    pub(super) fn parse<'a>(
        schema: Schema,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PolicyFault> {
        let validator = Validator::new(schema);
        let (mut named, mut warnings) = (BTreeMap::new(), Vec::new());
        for (file, text) in files {
            let set = parse_file(file, text)?;
            let checked = validator.validate(&set, ValidationMode::Strict);
            if let Some(error) = checked.validation_errors().next() {
                let place = Place::pointed_at(text, error, start_of(&set, error.policy_id(), text));
                return Err(PolicyFault::File { file: file.to_owned(), place, problem: sentence(error) });
            }
            warnings.extend(checked.validation_warnings().map(|warning| {
                let place = Place::pointed_at(text, warning, start_of(&set, warning.policy_id(), text));
                format!("policy/{file}:{place}: {}", sentence(warning))
            }));
            for policy in set.policies() {
                let place = Place::of(text, start_of(&set, policy.id(), text));
                let fault = |problem: String| PolicyFault::File { file: file.to_owned(), place, problem };
                let id = policy.annotation("id").unwrap_or_default().to_owned();
                check_id(&id).map_err(|problem| fault(problem.to_owned()))?;
                if named.insert(id.clone(), policy.new_id(PolicyId::new(&id))).is_some() {
                    return Err(fault(format!("another policy has the @id {id} as well")));
                }
            }
        }
        let policies = PolicySet::from_policies(named.into_values()).map_err(|error| PolicyFault::File {
            file: String::new(),
            place: Place { line: 1, column: 1 },
            problem: sentence(&error),
        })?;
        Ok(Self { policies, authorizer: Authorizer::new(), warnings })
    }

    /// Asks every policy.
    pub(super) fn ask(&self, request: &Request, entities: &Entities) -> Verdict {
        let answer = self.authorizer.is_authorized(request, &self.policies, entities);
        let errors: BTreeSet<String> = answer.diagnostics().errors().map(told).collect();
        Verdict {
            permitted: answer.decision() == Decision::Allow && errors.is_empty(),
            policies: answer.diagnostics().reason().map(ToString::to_string).collect(),
            errors,
        }
    }

    /// What is odd about the policies, but not wrong.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The `@id` of every policy.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.policies.policies().map(|policy| policy.id().to_string()).collect()
    }
}

fn parse_file(file: &str, text: &str) -> Result<PolicySet, PolicyFault> {
    let fault = |place, problem| PolicyFault::File { file: file.to_owned(), place, problem };
    let set: PolicySet =
        text.parse().map_err(|error| fault(Place::pointed_at(text, &error, 0), sentence(&error)))?;
    match set.templates().next() {
        None => Ok(set),
        Some(template) => {
            let place = Place::of(text, text.find(&template.to_cedar()).unwrap_or_default());
            Err(fault(place, "a template (?principal, ?resource) would never apply: nothing links it".to_owned()))
        }
    }
}

/// Where a policy begins in its file.
fn start_of(set: &PolicySet, id: &PolicyId, text: &str) -> usize {
    let source = set.policy(id).and_then(|policy| policy.to_cedar());
    source.and_then(|source| text.find(&source)).unwrap_or_default()
}

/// An id stands in audit records for ever.
fn check_id(id: &str) -> Result<(), &'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match id {
        "" => Err("every policy needs an @id(\"...\"): audit records name it"),
        id if id.len() > 60 || !id.bytes().all(fits) => {
            Err("an @id holds up to 60 letters, digits, `_`, `-` and `.`")
        }
        _ => Ok(()),
    }
}

/// Cedar's words on one line, with its advice.
fn sentence(error: &(impl miette::Diagnostic + ?Sized)) -> String {
    let advice = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    let whole = format!("{error}{advice}");
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What went wrong while a policy was evaluated. Cedar's own words would quote the values.
fn told(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    let kind = match error.inner() {
        EvaluationError::EntityDoesNotExist(_) => "an entity does not exist",
        EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::RecordAttrDoesNotExist(_) => {
            "an attribute does not exist"
        }
        EvaluationError::FailedExtensionFunctionLookup(_) => "a function does not exist",
        EvaluationError::TypeError(_) => "a value has another type",
        EvaluationError::WrongNumArguments(_) => "a function has another number of arguments",
        EvaluationError::IntegerOverflow(_) => "a number is too large",
        EvaluationError::UnlinkedSlot(_) => "a template is not linked",
        EvaluationError::FailedExtensionFunctionExecution(_) => "a function failed",
        EvaluationError::NonValue(_) => "a value is not known",
        EvaluationError::RecursionLimit(_) => "it nests too deep",
        // Cedar may add kinds; each denies.
        _ => "it could not be evaluated",
    };
    format!("{}: {kind}", error.policy_id())
}
