//! Policy files: the errors about invalid ones, the schema, and the examples.

use std::collections::BTreeMap;

use super::*;

#[test]
fn an_invalid_file_is_reported_with_line_and_column() {
    let scope = "(principal, action, resource)";
    for (story, text, place, says) in [
        ("no Cedar", "permit (principal);\n".to_owned(), "1:", ""),
        ("half a policy", format!("@id(\"a\")\npermit {scope} when {{"), "2:", ""),
        (
            "no such attribute",
            format!("// x\n@id(\"a\")\npermit {scope}\nwhen {{ resource.colour == \"red\" }};"),
            "4:8",
            "colour",
        ),
        (
            "an optional one, unchecked",
            "@id(\"a\")\npermit (principal, action, resource is MiniProgram::Tool)\nwhen { context.arguments.pay.amount == 1 };"
                .to_owned(),
            "3:8",
            "pay",
        ),
        ("another type", format!("@id(\"a\") permit {scope} when {{ context.hour == \"10\" }};"), "1:", ""),
        (
            "no such action",
            "@id(\"a\")\npermit (principal, action == MiniProgram::Action::\"rum\", resource);".to_owned(),
            "2:",
            "rum",
        ),
        ("no id", format!("@id(\"a\") permit {scope};\n\n  permit {scope};"), "3:3", "@id"),
        ("an odd id", format!("@id(\"a b\") permit {scope};"), "1:1", "@id"),
        ("an id twice", format!("@id(\"a\") permit {scope};\n@id(\"a\") forbid {scope};"), "2:1", "another policy"),
        ("a template", "@id(\"a\")\npermit (principal == ?principal, action, resource);".to_owned(), "1:1", "template"),
        (
            "an attribute that only calls have",
            format!("@id(\"a\")\nforbid {scope}\nwhen {{ !context.audited }};"),
            "3:9",
            "audited",
        ),
    ] {
        let told = policy(&text).unwrap_err().to_string();
        assert!(told.starts_with(&format!("policy/t.cedar:{place}")), "{story}: {told}");
        assert!(told.contains(says) && !told.contains('\n'), "{story}: {told}");
    }
    let files = PolicyFiles::built_in().with("more.cedar", format!("@id(\"reads-run\") permit {scope};"));
    let told = Policy::parse(&files).unwrap_err().to_string();
    assert!(told.contains("another policy has the @id reads-run"), "across files: {told}");
    let told = Policy::parse(&PolicyFiles::default().with("tools.toml", [0xff])).unwrap_err().to_string();
    assert_eq!(told, "policy/tools.toml is missing or is not UTF-8");
}

#[test]
fn the_checked_in_schema_is_what_the_catalogue_makes() {
    let policy = Policy::built_in().unwrap();
    let checked_in = PolicyFiles::built_in();
    assert_eq!(checked_in.text(SCHEMA), Some(policy.schema_text().as_str()), "run `local policy schema --write`");
}

/// Each example by itself, together with the built-in policies.
pub(super) fn examples() -> BTreeMap<String, Policy> {
    let text = PolicyFiles::built_in().text("examples.cedar.txt").expect("it is there").to_owned();
    let blocks = text.split("\n\n").filter(|block| block.contains("@id("));
    let parse = |block: &str| {
        let id = block.split('"').nth(1).expect("an @id").to_owned();
        let policy = Policy::parse(&PolicyFiles::built_in().with("example.cedar", block)).unwrap();
        assert_eq!(policy.warnings(), [""; 0], "{id}");
        (id, policy)
    };
    blocks.map(parse).collect()
}

#[test]
fn each_example_is_valid_and_changes_what_it_says() {
    struct Row {
        id: &'static str,
        call: (&'static str, Value),
        groups: &'static [&'static str],
        at: &'static str,
        audited: bool,
        says: (&'static str, &'static str),
    }
    const NOON: &str = "2026-11-20T04:00:00Z";
    let pay = |amount: i64| ("ledger_pay", json!({"amount": amount, "note": "n"}));
    let note = |text: &str| ("ledger_append", json!({ "note": text }));
    let row = |id, call, says| Row { id, call, groups: &[], at: NOON, audited: true, says };
    let (user, operator) = ("run_if_user_approves", "run_if_operator_approves");
    let rows = [
        row("small-payments-run", pay(20), (user, "run")),
        row("small-payments-run", pay(21), (user, user)),
        row("only-members-pay", pay(20), (user, "policy_denied")),
        Row { groups: &["members"], ..row("only-members-pay", pay(20), (user, user)) },
        Row { groups: &["newcomers"], ..row("newcomers-need-an-operator-from-100", pay(100), (user, operator)) },
        Row { groups: &["newcomers"], ..row("newcomers-need-an-operator-from-100", pay(99), (user, user)) },
        row("newcomers-need-an-operator-from-100", pay(100), (user, user)),
        row("sleep-is-for-testers", ("ledger_sleep", json!({"ms": 1})), ("run", "policy_denied")),
        Row {
            groups: &["a", "testers"],
            ..row("sleep-is-for-testers", ("ledger_sleep", json!({"ms": 1})), ("run", "run"))
        },
        row("payments-in-office-hours", pay(20), (user, user)),
        Row { at: "2026-11-20T18:00:00+08:00", ..row("payments-in-office-hours", pay(20), (user, operator)) },
        Row { at: "2026-11-20T17:59:59+08:00", ..row("payments-in-office-hours", pay(20), (user, user)) },
        Row { at: "2026-11-21T12:00:00+08:00", ..row("payments-in-office-hours", pay(20), (user, operator)) },
        row("notes-are-a-trial", note("n"), ("run", "run")),
        Row { at: "2027-01-01T00:00:00+08:00", ..row("notes-are-a-trial", note("n"), ("run", "policy_denied")) },
        row("no-links-in-notes", note("see https://example.com"), ("run", "policy_denied")),
        row("no-links-in-notes", note("two coffees"), ("run", "run")),
        row("no-reads-without-audit", ("ledger_read", json!({})), ("run", "run")),
        Row { audited: false, ..row("no-reads-without-audit", ("ledger_read", json!({})), ("run", "policy_denied")) },
        row("not-this-user", note("n"), ("run", "policy_denied")),
    ];
    let (built_in, examples) = (Policy::built_in().unwrap(), examples());
    let shown = rows
        .iter()
        .map(|row| row.id)
        .chain(agents::ABOUT_AGENTS.iter().map(|(id, ..)| *id))
        .collect::<BTreeSet<&str>>();
    assert!(examples.keys().map(String::as_str).eq(shown), "every example has a row");
    for Row { id, call: (tool, arguments), groups, at, audited, says } in rows {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let now = Timestamp::parse(&json!(at)).unwrap();
        let query = CallQuery { audited, now, ..query(&groups, tool, &arguments) };
        let name = |policy: &Policy| policy.decide(&query, Mode::Full).decision.name();
        assert_eq!((name(&built_in), name(&examples[id])), says, "{id}: {tool} {arguments} {at}");
    }
}
