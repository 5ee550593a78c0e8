//! A parsed and checked set of Cedar policies. It knows neither tools nor operators.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, EvaluationError, PolicyId, PolicySet, Request, Schema,
    ValidationMode, Validator,
};

use super::{
    argument_use::LookedAt,
    fault::{Place, PolicyFault},
};

/// Policies that parse, fit their schema, and have an `@id` each.
#[derive(Debug)]
pub(super) struct RuleSet {
    policies: PolicySet,
    authorizer: Authorizer,
    warnings: Vec<String>,
    looked_at: LookedAt,
}

/// Result of evaluating a set of policies for one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// At least one policy permits, none forbids, and each could be evaluated.
    pub permitted: bool,
    /// The `@id` of the policies that led to the result: the permits, or else the forbids.
    pub policies: BTreeSet<String>,
    /// Policies that could not be evaluated, with the reason. Never contains a value.
    pub errors: BTreeSet<String>,
}

/// Parses a schema in Cedar's own syntax.
pub(super) fn schema(file: &str, text: &str) -> Result<Schema, PolicyFault> {
    let (schema, _warnings) = Schema::from_cedarschema_str(text).map_err(|error| PolicyFault::File {
        file: file.to_owned(),
        place: Place::pointed_at(text, &error, 0),
        problem: sentence(&error),
    })?;
    Ok(schema)
}

impl RuleSet {
    /// Parses and checks every file, given as `(path, text)`.
    pub(super) fn parse<'a>(
        schema: Schema,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PolicyFault> {
        let validator = Validator::new(schema);
        let (mut named, mut warnings) = (BTreeMap::new(), Vec::new());
        for (file, text) in files {
            let set = parse_file(file, text)?;
            let starts = starts(&set, text);
            let start = |id: &PolicyId| starts.get(id).copied().unwrap_or_default();
            let checked = validator.validate(&set, ValidationMode::Strict);
            // Cedar reports errors in no order.
            let placed = checked.validation_errors().map(|error| {
                let place = Place::pointed_at(text, error, start(error.policy_id()));
                (place, sentence(error))
            });
            if let Some((place, problem)) = placed.min() {
                return Err(PolicyFault::File { file: file.to_owned(), place, problem });
            }
            warnings.extend(checked.validation_warnings().map(|warning| {
                let place = Place::pointed_at(text, warning, start(warning.policy_id()));
                format!("policy/{file}:{place}: {}", sentence(warning))
            }));
            for policy in set.policies() {
                let place = Place::of(text, start(policy.id()));
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
        let looked_at = policies.policies().map(LookedAt::by).collect();
        Ok(Self { policies, authorizer: Authorizer::new(), warnings, looked_at })
    }

    /// Evaluates every policy.
    pub(super) fn ask(&self, request: &Request, entities: &Entities) -> Verdict {
        let answer = self.authorizer.is_authorized(request, &self.policies, entities);
        let errors: BTreeSet<String> = answer.diagnostics().errors().map(told).collect();
        Verdict {
            permitted: answer.decision() == Decision::Allow && errors.is_empty(),
            policies: answer.diagnostics().reason().map(ToString::to_string).collect(),
            errors,
        }
    }

    /// Whether the decision about a tool may depend on its arguments.
    pub(super) fn look_at_arguments_of(&self, tool: &str) -> bool {
        self.looked_at.has(tool)
    }

    /// Warnings of Cedar's validator about the policies.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The `@id` of every policy.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.policies.policies().map(|policy| policy.id().to_string()).collect()
    }
}

/// Runs a closure on a large stack. Cedar fails to evaluate near the end of one, and the caller may be deep inside a
/// future: without this the depth of the caller could turn a policy into an error, and so into a denial.
pub(super) fn on_enough_stack<T>(evaluate: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(512 * 1024, 2 * 1024 * 1024, evaluate)
}

fn parse_file(file: &str, text: &str) -> Result<PolicySet, PolicyFault> {
    let fault = |place, problem| PolicyFault::File { file: file.to_owned(), place, problem };
    let set: PolicySet = text.parse().map_err(|error| fault(Place::pointed_at(text, &error, 0), sentence(&error)))?;
    if let Some(template) = set.templates().next() {
        let place = Place::of(text, text.find(&template.to_cedar()).unwrap_or_default());
        return Err(fault(place, "a template (?principal, ?resource) would never apply: nothing links it".to_owned()));
    }
    Ok(set)
}

/// Where each policy starts in its file, by Cedar's numbering in order of appearance.
fn starts(set: &PolicySet, text: &str) -> BTreeMap<PolicyId, usize> {
    let (mut starts, mut from) = (BTreeMap::new(), 0);
    let numbered = (0..).map(|n| PolicyId::new(format!("policy{n}")));
    for (id, policy) in numbered.map_while(|id| set.policy(&id).map(|policy| (id, policy))) {
        let source = policy.to_cedar().unwrap_or_default();
        let start = text.get(from..).and_then(|rest| rest.find(&source)).map_or(from, |found| from + found);
        from = start + source.len();
        starts.insert(id, start);
    }
    starts
}

/// Checks an `@id`: audit records keep it for ever.
fn check_id(id: &str) -> Result<(), &'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match id {
        "" => Err("every policy needs an @id(\"...\"): audit records name it"),
        id if id.len() > 60 || !id.bytes().all(fits) => Err("an @id holds up to 60 letters, digits, `_`, `-` and `.`"),
        _ => Ok(()),
    }
}

/// Cedar's message in one line, with its advice.
fn sentence(error: &(impl miette::Diagnostic + ?Sized)) -> String {
    let advice = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    let whole = format!("{error}{advice}");
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why a policy could not be evaluated. Cedar's own message is dropped: it would quote values.
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
    };
    format!("{}: {kind}", error.policy_id())
}
