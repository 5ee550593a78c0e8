//! Decides about calls and turns, written from docs/api/policy.md only: plain conditions on plain data.
//! It knows neither Cedar nor the catalogue nor any type of the service, so that it cannot be wrong in the same way.

/// One call and its circumstances, as plain data. Times are seconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) user: u8,
    pub(super) groups: Vec<&'static str>,
    pub(super) tool: &'static str,
    pub(super) amount: i64,
    pub(super) note: &'static str,
    /// The arguments lack what their schema requires.
    pub(super) broken: bool,
    pub(super) derived: bool,
    pub(super) audited: bool,
    pub(super) now_s: i64,
    /// 0 closed, 1 explain_only, 2 read_only, 3 full.
    pub(super) service_mode: u8,
    pub(super) tool_mode: Option<u8>,
    pub(super) opened_until_s: Option<i64>,
    pub(super) signed_at_s: Option<i64>,
    pub(super) exported: bool,
    pub(super) max_age_s: i64,
    /// Whether the examples of policy/examples.cedar.txt are in force in addition to the built-in policies.
    pub(super) examples: bool,
    /// Whether a team's policies permit every call, ignore derived arguments, and look at how much is read at once.
    pub(super) loose: bool,
    pub(super) yes: Yes,
    /// Whom a turn would be with.
    pub(super) agent: &'static str,
}

/// The decision about the approval request, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yes {
    NotAsked,
    Open,
    No,
    User,
    Operator,
}

/// What becomes of the call at the edge: `run`, `user`, `operator`, `explain`, or the code of a refusal.
pub(super) fn at_the_edge(case: &Case) -> &'static str {
    let reads = case.tool == "ledger_read";
    let destroys = case.tool == "ledger_delete";
    let known = ["ledger_append", "ledger_append_once", "ledger_sleep", "ledger_fail", "ledger_pay"];
    if !reads && !destroys && !known.contains(&case.tool) {
        return "tool_unknown";
    }
    if case.service_mode == 0 {
        return "mode_closed";
    }
    if case.tool_mode == Some(0) {
        return "tool_closed";
    }
    if case.service_mode == 1 || case.tool_mode == Some(1) {
        let said = asked_if_derived(case);
        return if ["run", "user", "operator"].contains(&said) { "explain" } else { said };
    }
    if !reads && (case.service_mode == 2 || case.tool_mode == Some(2)) {
        return "mode_read_only";
    }
    if !reads && !case.audited {
        return "audit_unproven";
    }
    if destroys {
        if case.opened_until_s.is_none_or(|until| until <= case.now_s) {
            return "tool_not_opened";
        }
        let fresh = case.signed_at_s.is_some_and(|at| case.now_s - at < case.max_age_s);
        if !(fresh && case.exported) {
            return "audit_unproven";
        }
    }
    asked_if_derived(case)
}

/// Whatever the policies say, a write with derived arguments needs an approval.
fn asked_if_derived(case: &Case) -> &'static str {
    let said = policies(case);
    if said == "run" && case.derived && case.tool != "ledger_read" { "user" } else { said }
}

/// What becomes of a turn: `run`, `without_tools`, or the code of a refusal; and what the agent uses by itself.
pub(super) fn turn(case: &Case) -> (&'static str, Vec<&'static str>) {
    let said = match case.service_mode {
        _ if case.agent != "main" => "agent_unknown",
        0 => "mode_closed",
        _ if case.examples && (case.user == 1 || !case.groups.contains(&"members") || !office(case)) => "policy_denied",
        1 => "without_tools",
        _ => "run",
    };
    // The agent may read what its user may read, unless a policy looks at how much is read at once.
    let reads = said == "run" && !case.loose && !matches!(case.tool_mode, Some(0 | 1));
    (said, if reads { vec!["ledger_read"] } else { vec![] })
}

/// What the worker does with it: `send`, `explain`, or the code that the job is refused with.
pub(super) fn at_the_worker(case: &Case) -> &'static str {
    match (at_the_edge(case), case.yes) {
        ("run", _) => "send",
        ("user", Yes::User | Yes::Operator) | ("operator", Yes::Operator) => "send",
        ("user" | "operator", _) => "approval_insufficient",
        (other, _) => other,
    }
}

/// What the policies say: `run`, `user`, `operator`, `policy_denied` or `policy_error`.
fn policies(case: &Case) -> &'static str {
    if case.broken {
        return "policy_error";
    }
    if case.examples && denied_by_an_example(case) {
        return "policy_denied";
    }
    match case.tool {
        "ledger_delete" if case.loose => "run",
        "ledger_read" => "run",
        "ledger_delete" => "operator",
        "ledger_pay" if case.amount > 10_000 => "policy_denied",
        "ledger_pay" if case.amount > 500 => "operator",
        "ledger_pay" if case.examples && asks_an_operator(case) => "operator",
        "ledger_pay" if case.loose => "run",
        "ledger_pay" if case.examples && case.amount <= 20 && !case.derived => "run",
        "ledger_pay" => "user",
        _ if case.derived && !case.loose => "user",
        _ => "run",
    }
}

fn denied_by_an_example(case: &Case) -> bool {
    // 2027-01-01T00:00:00 in Beijing.
    const TRIAL_ENDS_S: i64 = 1_798_732_800;
    let is_in = |group| case.groups.contains(&group);
    case.user == 1
        || !case.audited
        || (case.tool == "ledger_pay" && !is_in("members"))
        || (case.tool == "ledger_sleep" && !is_in("testers"))
        || (case.tool == "ledger_append" && (case.now_s >= TRIAL_ENDS_S || case.note.contains("://")))
}

/// Newcomers from 100 on, and all users outside office hours.
fn asks_an_operator(case: &Case) -> bool {
    !office(case) || (case.groups.contains(&"newcomers") && case.amount >= 100)
}

/// Monday to Friday, 9 to 18 o'clock in Beijing.
fn office(case: &Case) -> bool {
    // 1970 began on a Thursday; Beijing is eight hours ahead.
    let beijing_s = case.now_s + 8 * 3600;
    let (day, second) = (beijing_s.div_euclid(86_400), beijing_s.rem_euclid(86_400));
    let weekend = [2, 3].contains(&day.rem_euclid(7));
    !weekend && (9 * 3600..18 * 3600).contains(&second)
}
