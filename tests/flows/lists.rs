//! One's own jobs, page by page.

use serde_json::json;

use crate::{
    caller::{Caller, new_id},
    target::flow,
};

#[test]
fn the_list_is_newest_first_complete_and_ones_own_and_a_cursor_serves_only_its_user() {
    flow(async |target| {
        let (alice, bob) = (Caller::log_in(target, "lister").await, Caller::log_in(target, "not-lister").await);
        let (mut ids, his) = (Vec::new(), new_id());
        for _ in 0..5 {
            let id = new_id();
            assert_eq!(alice.submit(&id, "ledger_read", json!({"limit": 1})).await.status, 202);
            ids.insert(0, id);
        }
        assert_eq!(bob.submit(&his, "ledger_read", json!({"limit": 1})).await.status, 202);

        let (mut seen, mut path, mut cursors) = (Vec::new(), "/v1/jobs?limit=2".to_owned(), Vec::new());
        loop {
            let page = alice.get(&path).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let jobs = page.body["jobs"].as_array().unwrap();
            assert!(jobs.len() <= 2);
            seen.extend(jobs.iter().map(|job| job["request_id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            assert!(cursors.len() < 5, "the list does not end");
            path = format!("/v1/jobs?limit=2&cursor={cursor}");
            cursors.push(cursor.to_owned());
        }
        assert_eq!(seen, ids, "each once, newest first, and no other user's");

        let stolen = bob.get(&format!("/v1/jobs?cursor={}", cursors[0])).await;
        assert_eq!(stolen.verdict(), (400, "cursor_invalid"));
        let mut forged = cursors[0].clone().into_bytes();
        forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(alice.get(&format!("/v1/jobs?cursor={forged}")).await.verdict(), (400, "cursor_invalid"));
        for query in ["limit=0", "limit=101", "limit=x", "limit=1&limit=2"] {
            let reply = alice.get(&format!("/v1/jobs?{query}")).await;
            assert_eq!(reply.verdict(), (400, "parameter_invalid"), "{query}");
        }
        let wait = alice.get(&format!("/v1/jobs/{}?wait=21", ids[0])).await;
        assert_eq!((wait.verdict(), &wait.body["parameter"]), ((400, "parameter_invalid"), &json!("wait")));
        for id in &ids {
            assert_eq!(alice.until_over(id).await["status"], "succeeded");
        }
        assert_eq!(bob.until_over(&his).await["status"], "succeeded");
    });
}
