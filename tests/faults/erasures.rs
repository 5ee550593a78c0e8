//! An erasure survives a fault at any of its requests: it is finished, and leaves nothing of the user.

use integration_tests::{App, Client, Fault, Sample, Setup};
use serde_json::json;

/// A user with a job that is over and one that waits for an approval.
async fn user(app: &mut App, name: &str) -> Client {
    let client = app.login(name).await;
    app.run(&client, "ledger_append", json!({ "note": format!("note-of-{name}") })).await;
    let waiting = app.new_id();
    client.submit(&waiting, "ledger_pay", json!({ "amount": 120, "note": format!("note-of-{name}") })).await;
    client
}

/// Erases a user while one request has a fault, and requires that nothing is left.
async fn one(app: &mut App, name: &str, fault: Option<(Fault, u64)>) -> usize {
    let client = user(app, name).await;
    app.new_worker(None);
    while app.deliver().await {}
    app.faults.plan(move |_, n| fault.and_then(|(fault, place)| (n == place).then_some(fault)));
    let code = app.fresh_code(name);
    let asked = tokio::select! {
        reply = client.erase(&code) => reply.status.as_u16(),
        () = app.faults.killed() => 0,
    };
    if asked != 202 {
        assert!([0, 503].contains(&asked), "{asked}");
        app.advance(std::time::Duration::from_secs(2)).await;
        let again = app.erase(&client, name).await;
        assert_eq!(again.status, 202, "{fault:?}: {}", again.body);
    }
    let report = app.finish_erasure(&client).await;
    let requests = app.faults.seen().len();
    app.faults.none();
    let items = app.inspect().stored_items().await;
    assert!(!items.iter().any(|item| item.to_string().contains(&format!("note-of-{name}"))), "{fault:?}");
    let leads = items.iter().any(|item| {
        item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("LOGIN#"))
            && item.to_string().contains(&client.user_id)
    });
    assert!(!leads, "{fault:?}");
    let mut own = items.iter().filter(|item| item["pk"]["S"] == format!("U#{}", client.user_id));
    assert!(own.all(|item| item.get("openid").is_none() && item.get("key").is_none()), "{fault:?}");
    assert_eq!(report["erased"]["jobs"], 2, "{fault:?}: {report}");
    // A pass that finished it and died leaves a pointer, which the next wake-up message removes.
    app.sweep().await;
    while app.deliver().await {}
    let open = app.inspect().table().open_erasures(10).await.unwrap();
    assert!(open.is_empty(), "{fault:?}: {open:?}");
    requests
}

#[tokio::test]
async fn a_fault_at_any_request_leaves_an_erasure_that_finishes() {
    let mut app = App::with(Setup::roomy()).await;
    let requests = one(&mut app, "first", None).await as u64;
    let sample = Sample::of_this_run();
    let (mut case, mut runs) = (0, 0);
    for place in 0..requests {
        for fault in Fault::ALL {
            case += 1;
            if sample.takes(case, 41) {
                runs += 1;
                one(&mut app, &format!("user{case}"), Some((fault, place))).await;
            }
        }
    }
    println!("{runs} of {case} runs over {requests} requests were finished");
    assert!(runs >= 2, "{runs}");
}
