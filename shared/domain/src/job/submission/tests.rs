use super::*;

fn fingerprint(body: Value) -> Digest {
    Submission::parse(body).unwrap().fingerprint(&DigestKey::from_random([3; 32]))
}

#[test]
fn the_fingerprint_sees_the_request_and_not_its_spelling() {
    let one = fingerprint(json!({"tool":"t","arguments":{"a":1,"b":2.0},"sent_at":"2026-11-22T10:00:00Z"}));
    let two = fingerprint(json!({"arguments":{"b":2,"a":1.0},"tool":"t","sent_at":1_795_341_999}));
    assert_eq!(one, two);
    for other in [
        json!({"tool":"u","arguments":{"a":1,"b":2}}),
        json!({"tool":"t","arguments":{"a":1,"b":3}}),
        json!({"tool":"t","arguments":{"a":"1","b":2}}),
        json!({"tool":"t","arguments":{"a":1,"b":2},"not_after":1_795_341_999}),
        json!({"tool":"t","arguments":{"a":1,"b":2},"deadline":1_795_341_999}),
        json!({"tool":"t","arguments":{"a":1,"b":2},"deadline_s":5}),
        json!({"message":"t"}),
    ] {
        assert_ne!(one, fingerprint(other.clone()), "{other}");
    }
    assert_eq!(fingerprint(json!({"message":"hi"})), fingerprint(json!({"message":"hi","agent":"main"})));
    assert_ne!(fingerprint(json!({"message":"hi"})), fingerprint(json!({"message":"hi","conversation":"c"})));
    let call = json!({"tool":"t","arguments":{}});
    assert_eq!(fingerprint(call.clone()), fingerprint(json!({"steps":[call]})), "one step is one step");
}

#[test]
fn a_single_call_has_the_fingerprint_that_earlier_versions_gave_it() {
    let key = DigestKey::from_random([3; 32]);
    let whole = json!({"steps":[{"tool":"t","arguments":{"a":1}}],"not_after":null});
    assert_eq!(fingerprint(json!({"tool":"t","arguments":{"a":1}})), key.digest_bytes(&canonical::canonical(&whole)));
}

#[test]
fn bodies_that_ask_for_nothing_known_are_refused() {
    use SubmissionFault::{EmptyMessage, LongMessage, Missing, NotAnObject, TwoConversations, UnknownField, WrongType};
    let step = |step, fault| SubmissionFault::Step { step, fault: Box::new(fault) };
    let good = json!({"tool":"t","arguments":{}});
    for (body, fault) in [
        (json!([]), NotAnObject),
        (json!({"arguments":{}}), Missing("tool")),
        (json!({"tool":"t"}), Missing("arguments")),
        (json!({"tool":7,"arguments":{}}), WrongType("tool", "a string")),
        (json!({"tool":"t","arguments":[]}), WrongType("arguments", "an object")),
        (json!({"tool":"t","arguments":{},"dryRun":true}), UnknownField("dryRun".into())),
        (json!({"tool":"t","arguments":{},"message":"x"}), UnknownField("tool".into())),
        (json!({"message":" \n"}), EmptyMessage),
        (json!({"message":"x".repeat(MESSAGE_AT_MOST + 1)}), LongMessage),
        (json!({"message":["x"]}), WrongType("message", "a string")),
        (
            json!({"message":"x","conversation":"Trip"}),
            WrongType("conversation", "1 to 64 lower-case letters, digits, `-` or `_`"),
        ),
        (json!({"message":"x","agent":null}), WrongType("agent", "a string")),
        (json!({"message":"x","deadline_s":0}), WrongType("deadline_s", "a number of seconds from 1 to 86400")),
        (json!({"steps":[]}), WrongType("steps", "an array of 1 to 20 steps")),
        (json!({"steps":vec![good.clone(); 21]}), WrongType("steps", "an array of 1 to 20 steps")),
        (json!({"steps":[good],"tool":"t"}), UnknownField("tool".into())),
        (json!({"steps":[good, {"tool":"t"}]}), step(1, Missing("arguments"))),
        (json!({"steps":[{"end_conversation":"c","agent":"main"}]}), step(0, Missing("tool"))),
        (json!({"steps":[{"message":"x","conversation":"a"},{"message":"x","conversation":"b"}]}), TwoConversations),
        (
            json!({"steps":[{"message":"x","conversation":"a"},{"message":"x","conversation":"a","agent":"b"}]}),
            TwoConversations,
        ),
    ] {
        assert_eq!(Submission::parse(body.clone()), Err(fault), "{body}");
    }
    let bad_time = Submission::parse(json!({"tool":"t","arguments":{},"sent_at":"soon"}));
    assert!(matches!(bad_time, Err(WrongType("sent_at", _))));
}

#[test]
fn references_go_back_and_only_between_steps() {
    let from = |step: u64| json!({"$from":{"step":step,"pointer":"/a"}});
    let steps = |first: Value, second: Value| Submission::parse(json!({"steps":[first, second]}));
    let call = |value: Value| json!({"tool":"t","arguments":{"x":value}});
    assert!(steps(call(json!(1)), call(from(0))).is_ok());
    assert!(steps(call(json!(1)), json!({"message":["sum up: ", from(0)]})).is_ok());
    for (first, second) in
        [(call(from(1)), call(json!(1))), (call(json!(1)), call(from(1))), (call(from(0)), call(json!(1)))]
    {
        assert!(matches!(steps(first, second), Err(SubmissionFault::Step { .. })));
    }
    assert!(Submission::parse(call(from(0))).is_ok(), "without steps it is an argument like any other");
}

#[test]
fn a_message_is_its_parts_joined() {
    assert_eq!(message_text(&json!("a")).unwrap(), "a");
    assert_eq!(message_text(&json!(["a ", "b", {"c": 1}, 2])).unwrap(), "a b{\"c\":1}2");
    assert_eq!(message_text(&json!(["", " "])), Err(SubmissionFault::EmptyMessage));
}

#[test]
fn what_is_kept_reads_back_also_what_earlier_versions_kept() {
    let body = json!({"steps":[{"tool":"t","arguments":{}},{"message":"x","conversation":"c","deadline_s":5}]});
    let steps = Submission::parse(body).unwrap().steps().to_vec();
    let text = serde_json::to_string(&steps).unwrap();
    assert_eq!(crate::json::kept::<Vec<Wanted>>(&text).unwrap(), steps);
    let end = Submission::end_of("c".parse().unwrap(), "main".into());
    let text = serde_json::to_string(end.steps()).unwrap();
    assert_eq!(crate::json::kept::<Vec<Wanted>>(&text).unwrap(), end.steps());
    let old: Vec<Wanted> = crate::json::kept(r#"[{"tool":"t","arguments":{"a":1}}]"#).unwrap();
    assert!(matches!(&old[..], [Wanted { work: Work::Call(_), deadline_s: None }]));
}
