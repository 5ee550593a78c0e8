//! Of an approval, a rejection, a cancel and the expiry exactly one wins, in whatever order their requests reach the
//! table.

use std::{collections::BTreeMap, time::Duration};

use integration_tests::{App, Client, Fault, Reply, events, sample::Sample};

use super::{COFFEES, pay, payments, unlimited};

/// The rounds of a race that this run takes, each with other requests delayed.
fn rounds() -> impl Iterator<Item = u64> {
    let sample = Sample::of_this_run();
    (0..40).filter(move |round| sample.takes(*round, 4))
}

/// Delays every request whose number has its bit set in a pattern that changes each round.
fn hold_up(app: &App, round: u64) {
    let pattern = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    app.faults.plan(move |_, n| ((pattern >> (n % 61)) & 1 == 1).then_some(Fault::Late));
}

async fn approval_request(app: &App, alice: &Client) -> (String, String) {
    app.faults.none();
    let id = pay(app, alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    (id, digest)
}

fn verdict(reply: &Reply) -> String {
    let (status, code) = reply.verdict();
    format!("{status} {code}")
}

fn count(seen: &mut BTreeMap<String, usize>, story: String) {
    *seen.entry(story).or_default() += 1;
}

#[tokio::test]
async fn an_approval_and_a_rejection_at_once_are_one_of_them() {
    let mut app = App::with(unlimited()).await;
    let alice = app.login("alice").await;
    let mut seen = BTreeMap::new();
    for round in rounds() {
        let (id, digest) = approval_request(&app, &alice).await;
        let code = app.fresh_code("alice");
        hold_up(&app, round);
        let (yes, no) = tokio::join!(
            alice.decide(&id, "approve", &digest, Some(&code)),
            alice.decide(&id, "reject", &digest, None)
        );
        app.faults.none();
        while app.deliver().await {}
        let (job, paid) = (alice.job(&id).await, payments(&app, &id).len());
        let story = format!("yes {}, no {}: {}", verdict(&yes), verdict(&no), job["status"].as_str().unwrap());
        let chain = alice.records(&id).await;
        assert_eq!(chain.iter().filter(|event| event["event"] == "approval_decided").count(), 1, "{story}");
        match (yes.status.as_u16(), no.verdict()) {
            (200, (409, "approval_decided")) => {
                assert_eq!((job["status"].as_str(), paid), (Some("succeeded"), 1), "{story}")
            }
            (409, (200, "")) => {
                assert_eq!(
                    (yes.code(), job["status"].as_str(), paid),
                    ("approval_decided", Some("refused"), 0),
                    "{story}"
                );
            }
            _ => panic!("{story}"),
        }
        count(&mut seen, story);
    }
    println!("RACE yes and no: {seen:?}");
}

#[tokio::test]
async fn two_approvals_at_once_are_one() {
    let mut app = App::with(unlimited()).await;
    let alice = app.login("alice").await;
    for round in rounds() {
        let (id, digest) = approval_request(&app, &alice).await;
        let (one, two) = (app.fresh_code("alice"), app.fresh_code("alice"));
        hold_up(&app, round);
        let (first, second) = tokio::join!(
            alice.decide(&id, "approve", &digest, Some(&one)),
            alice.decide(&id, "approve", &digest, Some(&two))
        );
        app.faults.none();
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "{} {}", first.body, second.body);
        while app.deliver().await {}
        assert_eq!(payments(&app, &id).len(), 1);
        let chain = alice.records(&id).await;
        assert_eq!(events(&chain), ["accepted", "approval_asked", "approval_decided", "intended", "ended"]);
    }
}

#[tokio::test]
async fn an_approval_and_a_cancel_at_once_leave_one_outcome() {
    let mut app = App::with(unlimited()).await;
    let alice = app.login("alice").await;
    let mut seen = BTreeMap::new();
    for round in rounds() {
        let (id, digest) = approval_request(&app, &alice).await;
        let code = app.fresh_code("alice");
        hold_up(&app, round);
        // A cancel after the approval still stops a call that has not begun.
        let (yes, cancel) = tokio::join!(alice.decide(&id, "approve", &digest, Some(&code)), alice.cancel(&id));
        app.faults.none();
        while app.deliver().await {}
        let (job, paid) = (alice.job(&id).await, payments(&app, &id).len());
        let chain = alice.records(&id).await;
        let story = format!("yes {}, cancel {}: {:?}", verdict(&yes), verdict(&cancel), events(&chain));
        assert_eq!((cancel.status.as_u16(), job["status"].as_str(), paid), (200, Some("cancelled"), 0), "{story}");
        match yes.verdict() {
            (200, "") => {
                assert_eq!(
                    events(&chain),
                    ["accepted", "approval_asked", "approval_decided", "cancel_requested"],
                    "{story}"
                );
            }
            (409, "approval_not_asked") => {
                assert_eq!(events(&chain), ["accepted", "approval_asked", "cancel_requested"], "{story}");
            }
            _ => panic!("{story}"),
        }
        count(&mut seen, story);
    }
    println!("RACE yes and cancel: {seen:?}");
}

#[tokio::test]
async fn an_approval_and_the_expiry_at_once_are_one_of_them() {
    let mut app = App::with(unlimited()).await;
    let mut seen = BTreeMap::new();
    for round in rounds() {
        let alice = app.login("alice").await;
        let (id, digest) = approval_request(&app, &alice).await;
        let code = app.fresh_code("alice");
        // Half a second is left; it passes during the approval, and the wake-up message of the expiry is delivered.
        app.clock.advance(Duration::from_millis(599_500));
        hold_up(&app, round);
        let yes = alice.decide(&id, "approve", &digest, Some(&code));
        let expiry = async {
            for _ in 0..round {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            app.advance(Duration::from_millis(500)).await;
            app.deliver().await;
        };
        let (yes, ()) = tokio::join!(yes, expiry);
        app.faults.none();
        while app.deliver().await {}
        let (job, paid) = (alice.job(&id).await, payments(&app, &id).len());
        let chain = alice.records(&id).await;
        let story = format!("yes {}: {:?}", verdict(&yes), events(&chain));
        match yes.verdict() {
            (200, "") => {
                assert_eq!((job["status"].as_str(), paid), (Some("succeeded"), 1), "{story}");
                assert_eq!(events(&chain)[2], "approval_decided", "{story}");
            }
            (410, "approval_expired") => {
                assert_eq!((job["status"].as_str(), paid), (Some("expired"), 0), "{story}");
                assert_eq!(events(&chain), ["accepted", "approval_asked", "approval_lapsed"], "{story}");
            }
            _ => panic!("{story}"),
        }
        count(&mut seen, story);
    }
    println!("RACE yes and expiry: {seen:?}");
}

#[tokio::test]
async fn the_first_of_approval_and_expiry_holds() {
    let mut app = App::with(unlimited()).await;
    for yes_first in [true, false] {
        let alice = app.login("alice").await;
        let (id, digest) = approval_request(&app, &alice).await;
        // Ten seconds are left.
        app.clock.advance(Duration::from_secs(590));
        let code = app.fresh_code("alice");
        if yes_first {
            assert_eq!(alice.decide(&id, "approve", &digest, Some(&code)).await.status, 200);
        }
        app.advance(Duration::from_secs(10)).await;
        while app.deliver().await {}
        if !yes_first {
            let late = alice.decide(&id, "approve", &digest, Some(&code)).await;
            assert_eq!(late.verdict(), (410, "approval_expired"));
        }
        let (status, paid) = if yes_first { ("succeeded", 1) } else { ("expired", 0) };
        assert_eq!((alice.job(&id).await["status"].as_str(), payments(&app, &id).len()), (Some(status), paid));
    }
}
