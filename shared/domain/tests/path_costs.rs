//! What the computing parts of a request cost, as counts that another load or another machine does not change: here the
//! allocations and their bytes, and with valgrind the instructions (`bench/paths.py`, which runs this test in it and
//! writes the table). A cost that differs by more than three percent from `bench/paths.json` fails: either the
//! change was not meant, or the table is written anew with it.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::{collections::BTreeSet, hint::black_box, sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::{
    access::{
        service_mode::{Controls, Mode},
        session::{Audience, Session, SessionSigner, SessionVerifier},
    },
    audit::{AuditContext, AuditEvent, AuditHead, AuditRecord},
    catalogue::ToolEffect,
    ids::{Actor, DigestKey, RequestId, Timestamp, UserId},
    job::{
        Intent, Job, JobEvent, JobState, Lease, NewJob, ResultRef, Start, Step, StepOutcome, Via,
        submission::{Submission, Work},
    },
    json,
    policy::{CallQuery, Gated, Policy},
    view::JobView,
};
use serde_json::Value;

const TABLE: &str = include_str!("../../../bench/paths.json");
const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const BODY: &[u8] = br#"{"tool":"ledger_append","arguments":{"note":"milk, bread and two coffees"}}"#;
const RESULT: &str = r#"{"entry":{"id":17,"note":"milk, bread and two coffees"},"ok":true}"#;
/// Difference from the table that is not an error, in percent: hash tables are seeded anew in each process.
const TOLERANCE: u64 = 3;

struct Fixture {
    verifier: SessionVerifier,
    token: String,
    policy: Arc<Policy>,
    controls: Controls,
    groups: BTreeSet<String>,
    user_id: UserId,
    request_id: RequestId,
    key: DigestKey,
    arguments: Value,
}

impl Fixture {
    fn new() -> Self {
        let audience = || Audience { issuer: "issuer".to_owned(), audience: "audience".to_owned() };
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n");
        let signer = SessionSigner::new("k1", &pem, audience()).unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let user_id = UserId::from_random([0xab; 16]);
        let mut controls = Controls::unreadable(NOW);
        controls.service.mode = Mode::Full;
        Self {
            verifier: SessionVerifier::new([("k1", public.as_str())], audience()).unwrap(),
            token: signer.mint(user_id, NOW, Duration::from_secs(7200)).unwrap().0,
            policy: Policy::built_in().unwrap(),
            controls,
            groups: ["members".to_owned()].into(),
            user_id,
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            key: DigestKey::from_random([7; 32]),
            arguments: json::parse(br#"{"note":"milk, bread and two coffees"}"#).unwrap(),
        }
    }

    fn query<'a>(&'a self, arguments: &'a Value) -> CallQuery<'a> {
        CallQuery {
            user_id: self.user_id,
            groups: &self.groups,
            tool: "ledger_append",
            arguments,
            derived: false,
            audited: true,
            now: NOW,
        }
    }

    fn context<'a>(&'a self, tool: &'a str) -> AuditContext<'a> {
        AuditContext {
            request_id: self.request_id,
            at: NOW,
            actor: Actor::User,
            step: 0,
            round: 0,
            tool,
            policy_version: self.policy.version(),
        }
    }
}

/// A submission from its bytes to the item that is stored: what edge-auth computes of an accept, besides session and rate.
fn accept(given: &Fixture) -> Job {
    let submission = Submission::parse(json::parse(BODY).unwrap()).unwrap();
    let Work::Call(call) = &submission.steps()[0].work else { panic!("it is a call") };
    let tool = given.policy.tool(&call.tool).unwrap();
    tool.validate(&call.arguments).unwrap();
    let gated = given.policy.gate(&given.controls, &given.query(&call.arguments));
    let fingerprint = submission.fingerprint(&given.key);
    let event = AuditEvent::Accepted {
        decision: gated.decided.decision.name().to_owned(),
        policies: gated.decided.policies,
        later: Vec::new(),
        submission_digest: fingerprint,
    };
    let record = AuditRecord::after(AuditHead::EMPTY, given.context(&call.tool), event);
    let new = NewJob {
        user_id: given.user_id,
        request_id: given.request_id,
        steps: vec![Step::new(call.tool.clone(), tool.entry.effect)],
        fingerprint,
        audit: record.head(),
        not_after: NOW.plus(tool.entry.start_within()),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    let job = Job::accepted(new, NOW);
    drop(black_box(serde_json::to_string(&job).unwrap()));
    job
}

/// Callgrind does not see the end of a function with a frame as large as that of [`accept`].
#[inline(never)]
fn measured_accept(given: &Fixture) -> Box<Job> {
    Box::new(accept(given))
}

#[inline(never)]
fn measured_verify(given: &Fixture) -> Session {
    given.verifier.verify(&given.token, NOW).unwrap()
}

#[inline(never)]
fn measured_decide(given: &Fixture) -> Gated {
    given.policy.gate(&given.controls, &given.query(&given.arguments))
}

/// A write from its claim to its end, with the stored form of each state.
#[inline(never)]
fn measured_claim(job: &Job) -> Job {
    let lease = Lease { owner: "0123456789abcdef".to_owned(), expires_at: NOW.plus(Duration::from_secs(35)) };
    let intent = Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None };
    let ended = JobEvent::StepEnded {
        outcome: StepOutcome::Succeeded,
        error: None,
        result: Some(ResultRef::Inline(RESULT.to_owned())),
        ends_as: JobState::Failed,
    };
    assert!(job.claimable(NOW));
    let mut job = job.clone();
    for event in [JobEvent::Claimed { lease }, JobEvent::Intended(intent), ended] {
        job = job.apply(event, NOW).unwrap();
        drop(black_box(serde_json::to_string(&job).unwrap()));
    }
    job
}

/// The answer to a poll of a job that has ended.
#[inline(never)]
fn measured_view(job: &Job) -> String {
    serde_json::to_string(&JobView::new(job, Some(json::kept(RESULT).unwrap()), NOW)).unwrap()
}

#[test]
fn the_computing_parts_of_a_request_allocate_what_the_table_says() {
    let given = Fixture::new();
    let accepted = measured_accept(&given);
    let ended = measured_claim(&accepted);
    assert_eq!((accepted.steps[0].effect, ended.state), (ToolEffect::Write, JobState::Succeeded));
    let paths: [(&str, &dyn Fn()); 5] = [
        ("accept", &|| {
            let _ = black_box(measured_accept(&given));
        }),
        ("verify", &|| {
            let _ = black_box(measured_verify(&given));
        }),
        ("decide", &|| {
            let _ = black_box(measured_decide(&given));
        }),
        ("claim", &|| {
            let _ = black_box(measured_claim(&accepted));
        }),
        ("view", &|| {
            let _ = black_box(measured_view(&ended));
        }),
    ];
    let table: Value = json::kept(TABLE).unwrap();
    let mut faults = Vec::new();
    for (path, run) in paths {
        // Once before: what is read at the first use is not what a request costs.
        run();
        let allocated = allocation_counter::measure(run);
        for (what, measured) in [("allocations", allocated.count_total), ("bytes", allocated.bytes_total)] {
            println!("PATH {path} {what} {measured}");
            let known = table[path][what].as_u64().unwrap_or(0);
            if measured.abs_diff(known) * 100 > known * TOLERANCE {
                faults.push(format!("{path}: {measured} {what}, {known} by the table"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}\nIf it is meant: python3 bench/paths.py --write");
}
