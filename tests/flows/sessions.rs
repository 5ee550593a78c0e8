//! Logging in and out.

use serde_json::json;

use crate::{
    caller::{Caller, code, new_id},
    target::flow,
};

#[test]
fn a_code_gives_a_session_and_what_wechat_refuses_gives_none() {
    flow(async |target| {
        let once = format!("{}.1", code("once"));
        let first = Caller::log_in_with(target, &once).await;
        assert_eq!((first.status.as_u16(), &first.body["token_type"]), (201, &json!("Bearer")));
        let second = Caller::log_in_with(target, &once).await;
        assert_eq!(second.verdict(), (401, "login_code_rejected"), "a code is used up");
        assert_eq!(second.header("www-authenticate"), "", "no token would help");
        for (code, verdict, waits) in [
            ("made-up", (401, "login_code_rejected"), false),
            ("dev-blocked", (403, "login_blocked"), false),
            ("dev-limited", (429, "login_limited"), true),
            ("dev-busy", (503, "wechat_unavailable"), true),
            ("", (400, "body_invalid"), false),
        ] {
            let reply = Caller::log_in_with(target, code).await;
            assert_eq!(reply.verdict(), verdict, "{code}");
            assert_eq!(!reply.header("retry-after").is_empty(), waits, "{code}");
        }
    });
}

#[test]
fn without_a_session_no_data_is_answered() {
    flow(async |target| {
        let alice = Caller::log_in(target, "nobody").await;
        let id = new_id();
        assert_eq!(alice.submit(&id, "ledger_read", json!({})).await.status, 202);
        let (job, audit) = (format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/audit"));
        for without_session in [Caller::anonymous(target), alice.with_token("a.b.c"), alice.with_token("x")] {
            for path in ["/v1/jobs", "/v1/tools", &job, &audit] {
                let reply = without_session.get(path).await;
                assert_eq!(reply.verdict(), (401, "no_session"), "{path}");
                assert_eq!(reply.header("www-authenticate"), "Bearer", "{path}");
            }
            assert_eq!(
                without_session.submit(&new_id(), "ledger_read", json!({})).await.verdict(),
                (401, "no_session")
            );
            assert_eq!(without_session.cancel(&id).await.verdict(), (401, "no_session"));
        }
        assert_eq!(alice.until_over(&id).await["status"], "succeeded", "the logout did not stop it");
    });
}

#[test]
fn a_session_that_was_ended_is_dead_for_reads_as_well_and_the_next_one_finds_everything() {
    flow(async |target| {
        let before = Caller::log_in(target, "again").await;
        let id = new_id();
        assert_eq!(before.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 202);
        assert_eq!(before.send("DELETE", "/v1/sessions", &[], b"").await.status, 204);
        for path in ["/v1/jobs", "/v1/tools", &format!("/v1/jobs/{id}"), &format!("/v1/jobs/{id}/audit")] {
            assert_eq!(before.get(path).await.verdict(), (401, "no_session"), "{path}");
        }
        let late = new_id();
        assert_eq!(before.submit(&late, "ledger_append", json!({"note":"n"})).await.verdict(), (401, "no_session"));
        let after = Caller::log_in(target, "again").await;
        assert_eq!(after.user_id, before.user_id);
        assert_eq!(after.until_over(&id).await["status"], "succeeded", "an open job goes on");
        assert_eq!(after.look(&late).await.verdict(), (404, "not_found"), "nothing is stored");
        assert_eq!(target.effects(&late).await.len(), 0);
    });
}
