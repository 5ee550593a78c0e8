//! Decisions about held texts: repeated ones, those that are waited for, and the digest that they are about.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{ids::DigestKey, json::canonical};
use integration_tests::App;
use platform::metrics::Metric;
use serde_json::json;

use super::{
    held::{HELD, decide, path, with_held_reply},
    note, run, settle, with_checks,
};

#[tokio::test]
async fn a_repeated_decision_about_an_earlier_text_of_the_step_is_answered_as_the_first_one() {
    let (mut app, alice) = with_checks().await;
    let shang = app.operator("shang", &["approver"]);
    let id = app.submit_body(&alice, &json!({ "message": format!("[[say:{HELD}]]") })).await;
    let job = settle(&mut app, &alice, &id).await["support_code"].as_str().unwrap().to_owned();
    let message = shang.get(&path(&job)).await.body;
    assert_eq!(message["what"], "message", "{message}");
    let about = |decision: &str| json!({ "decision": decision, "digest": message["digest"] });
    assert_eq!(shang.post(&path(&job), about("pass")).await.status, 200);
    settle(&mut app, &alice, &id).await;
    let reply = shang.get(&path(&job)).await.body;
    assert_eq!(reply["what"], "reply", "{reply}");
    for _ in ["while the reply waits", "after it was shown"] {
        let again = shang.post(&path(&job), about("pass")).await;
        assert_eq!((again.verdict(), &again.body["view"]["request_id"]), ((200, ""), &json!(id)), "{}", again.body);
        assert_eq!(shang.post(&path(&job), about("refuse")).await.verdict(), (409, "text_decided"));
        let decision = json!({ "decision": "pass", "digest": reply["digest"] });
        assert_eq!(shang.post(&path(&job), decision).await.status, 200);
        settle(&mut app, &alice, &id).await;
    }
    assert_eq!(alice.job(&id).await["result"]["reply"], HELD);
    let records = shang.told().await;
    let events: Vec<_> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["mode_set", "text_decided", "text_decided"],
        "a repetition is neither an attack nor another decision"
    );
}

#[tokio::test]
async fn no_user_can_confirm_a_guess_of_a_reply_that_is_kept_from_them() {
    let (mut app, alice) = with_checks().await;
    let (id, _) = with_held_reply(&mut app, &alice, "no").await;
    let audit = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let record = audit["records"].as_array().unwrap().iter().find(|record| record["event"] == "text_held").unwrap();
    let guess = json!({
        "user_id": alice.user_id, "request_id": id, "step": 0, "round": 0,
        "held": { "what": "reply", "agent": "main", "text": format!("{HELD} no") },
    });
    let key = DigestKey::try_from(audit["digest_key"].as_str().unwrap().to_owned()).unwrap();
    assert_ne!(record["digest"], key.digest_bytes(&canonical::canonical(&guess)).to_string());
    // The same words are held twice: the digests have nothing in common either.
    let (other, job) = with_held_reply(&mut app, &alice, "no").await;
    let again = alice.get(&format!("/v1/jobs/{other}/audit")).await.body.to_string();
    assert!(!again.contains(record["digest"].as_str().unwrap()));
    // The key of the digest is nowhere where a user or an operator reads.
    let shang = app.operator("shang", &["approver"]);
    assert_eq!(decide(&shang, &job, "pass").await.status, 200);
    let stored = app.inspect().stored_items().await;
    let keys: Vec<_> = stored.iter().filter_map(key_of_held).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    let shown = [
        alice.get("/v1/users/me/export?limit=100").await.body,
        alice.job(&other).await,
        shang.get(&format!("/jobs/{job}")).await.body,
    ];
    for key in keys {
        assert_eq!(URL_SAFE_NO_PAD.decode(&key).unwrap().len(), 32);
        assert!(shown.iter().all(|page| page.is_object() && !page.to_string().contains(&key)), "{key}");
    }
}

#[tokio::test]
async fn sweep_measures_the_texts_that_wait_and_for_how_long_and_nothing_once_none_waits() {
    let (mut app, alice) = with_checks().await;
    let shang = app.operator("shang", &["approver"]);
    let gauges = |app: &App| [Metric::HeldTexts, Metric::HeldTextAge].map(|gauge| app.metrics.values(gauge, &[]));
    app.sweep().await;
    assert!(gauges(&app).iter().all(Vec::is_empty));
    let (id, _) = run(&mut app, &alice, &note(HELD)).await;
    app.advance(Duration::from_secs(120)).await;
    with_held_reply(&mut app, &alice, "words").await;
    app.sweep().await;
    let [counts, ages] = gauges(&app);
    assert_eq!(counts, [2.0]);
    assert!((120.0..180.0).contains(&ages[0]), "of the oldest: {ages:?}");
    // A text that is decided about, or whose job is over, is still in the operators' list until its time is over.
    assert_eq!(decide(&shang, alice.job(&id).await["support_code"].as_str().unwrap(), "refuse").await.status, 200);
    app.sweep().await;
    let [counts, ages] = gauges(&app);
    assert_eq!(counts, [2.0, 1.0]);
    assert!(ages[1] < 60.0, "{ages:?}");
    let units = |app: &App| app.sweep.table().consumed().read_units();
    let before = units(&app);
    app.sweep().await;
    println!("DUTY a run of sweep with two entries in the list of held texts: {} read units", units(&app) - before);
}

/// The key of a held text's digest, in a job's item.
fn key_of_held(item: &serde_json::Value) -> Option<String> {
    let key = item.pointer("/sp/L/0/M/ht/M/k/S")?;
    Some(key.as_str().expect("a text").to_owned())
}
