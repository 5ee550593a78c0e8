//! What the journal's entries of turns mean.

use super::*;

#[test]
fn each_entry_of_a_turn_means_one_thing() {
    let entry = |state: &str, error: Value| {
        json!({"kind":"turn","key":"k","state":state,"error":error,"reply":"hi","truncated":false,"calls_total":1,
            "calls":[{"tool":"t","decision":"proposed","args":"{}","failed":null,"at_ms":1}],
            "progress":[{"at_ms":1,"what":"tool","tool":"t","state":"proposed"}],"partial":null})
    };
    let round = Box::new(Round::deserialize(&entry("finished", Value::Null)).unwrap());
    assert_eq!(round.calls.first().map(|call| call.decision), Some(GuardDecision::Proposed));
    for (entry, meaning) in [
        (entry("started", Value::Null), Some(TurnState::Running(round.clone()))),
        (entry("finished", Value::Null), Some(TurnState::Replied(round.clone()))),
        (entry("failed", json!("model_refused")), Some(TurnState::Failed(TurnFailure::ModelRefused, round.clone()))),
        (
            entry("failed", json!("refused_by_gateway")),
            Some(TurnState::Failed(TurnFailure::RefusedByGateway, round.clone())),
        ),
        (entry("failed", json!("tomorrow")), Some(TurnState::Failed(TurnFailure::ModelFailed, round.clone()))),
        (entry("interrupted", json!("turn_lost")), Some(TurnState::Failed(TurnFailure::TurnLost, round))),
        (
            json!({"kind":"turn","state":"finished","progress":[{"at_ms":1,"what":"dreaming","state":"odd"}],
                "calls":[{"tool":"t","decision":"undone"}]}),
            Some(TurnState::Replied(Box::new(Round {
                progress: vec![RoundProgress {
                    at_ms: 1,
                    what: Doing::Other,
                    tool: None,
                    state: Some(CallState::Other),
                }],
                calls: vec![RoundCall { tool: "t".into(), decision: GuardDecision::Vetoed, args: None, failed: None }],
                ..Round::default()
            }))),
        ),
        (entry("revoked", Value::Null), None),
        (json!({"state":"started"}), None),
        (Value::Null, None),
    ] {
        assert_eq!(turn_entry(&entry, None), meaning, "{entry}");
    }
}
