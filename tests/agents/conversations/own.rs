//! Invariant 10, *own data only*: a conversation is its user's own, whatever it is called.

use domain::conversation::{TurnPlace, session_key};
use serde_json::json;

use super::{kept, queued, unlimited};
use crate::workflows::say_in;

#[tokio::test]
async fn two_users_conversations_of_one_name_have_nothing_in_common() {
    let app = unlimited().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    // The same request id, too: it is each user's own.
    let (same, own) = (app.new_id(), [app.new_id(), app.new_id()]);
    for (user, own) in [&alice, &bob].into_iter().zip(&own) {
        for id in [&same, own] {
            assert_eq!(user.submit_body(id, &say_in("trip", "hello")).await.status, 202);
        }
    }
    for (user, own) in [&alice, &bob].into_iter().zip(&own) {
        assert_eq!(queued(&app, user, "trip").await, [same.clone(), own.clone()]);
        assert_eq!(kept(&app, user, "trip").await.unwrap().jobs, 2);
    }
    let trip = "trip".parse().unwrap();
    let session = |user: &str| session_key("main", user.parse().unwrap(), &TurnPlace::Conversation(&trip));
    assert_ne!(session(&alice.user_id), session(&bob.user_id));
    assert!(session(&alice.user_id).contains(&alice.user_id) && !session(&alice.user_id).contains(&bob.user_id));
}

#[tokio::test]
async fn no_user_deletes_or_names_another_users_conversation() {
    let app = unlimited().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    assert_eq!(alice.submit_body(&app.new_id(), &say_in("secret-plan", "hello")).await.status, 202);
    for path in ["/v1/conversations/secret-plan", "/v1/conversations/none"] {
        let reply = bob.send("DELETE", path, &[], b"").await;
        assert_eq!((reply.verdict(), &reply.body["detail"]), ((404, "not_found"), &json!(null)), "{path}");
    }
    assert!(kept(&app, &alice, "secret-plan").await.unwrap().ended_by.is_none());
    for other in [format!("{}:c.secret-plan", alice.user_id), format!("../{}/secret-plan", alice.user_id)] {
        assert_eq!(bob.submit_body(&app.new_id(), &say_in(&other, "hello")).await.verdict(), (400, "body_invalid"));
    }
    // Another user's id as a name is an ordinary name in the caller's own partition.
    let named = alice.user_id.clone();
    assert_eq!(bob.submit_body(&app.new_id(), &say_in(&named, "hello")).await.status, 202);
    assert_eq!(kept(&app, &alice, &named).await, None);
}
