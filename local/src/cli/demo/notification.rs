//! A user who has accepted a message of WeChat gets one when their job has ended.

use std::time::Duration;

use platform::runtime::Runtime;
use serde_json::{Value, json};

use super::{
    super::{Failure, client::Client, id},
    transcript::{Transcript, claims, shows, status_is, succeeded, text},
};
use crate::host::service::Service;

/// Maximum number of polls until the message is sent.
const READS_AT_MOST: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn show(transcript: &mut Transcript, client: &Client, service: &Service) -> Result<(), Failure> {
    transcript.step("A message of WeChat when the job has ended: accept, submit with notify, receive");
    let stub = service.wechat_stub().ok_or("the demo runs with the WeChat stub")?;
    let tools = client.get("/v1/tools").await?;
    let notification = &tools.body["notifications"][0];
    let (name, template) = (text(&notification["name"]), text(&notification["template_id"]));
    stub.accept("demo", template);
    let accepted = client.post("/v1/notifications", None, &json!({ "accepted": [name] })).await?;
    status_is(&accepted, 204)?;
    shows(format_args!("the user accepts the template {name} in WeChat's dialog"));

    let before = stub.messages().len();
    let id = id::new(&Runtime::system());
    let body = json!({"tool": "ledger_append", "arguments": {"note": "a notified tea"}, "notify": name});
    status_is(&client.post("/v1/jobs", Some(&id), &body).await?, 202)?;
    succeeded(&client.until_over(&id).await?)?;
    let status = sent(client, &id).await?;
    claims("the job shows that WeChat has taken the message", status == "sent", status)?;
    let messages = stub.messages();
    let [message] = messages.get(before..).unwrap_or_default() else {
        return Err(format!("WeChat has taken {} messages", messages.len() - before).into());
    };
    shows(format_args!("page {}", text(&message["page"])));
    for (key, field) in message["data"].as_object().into_iter().flatten() {
        shows(format_args!("{key}: {}", text(&field["value"])));
    }
    claims("it names the job", text(&message["page"]).ends_with(&id), &message["page"])
}

/// How far the job's notification is, once that is decided.
async fn sent(client: &Client, id: &str) -> Result<String, Failure> {
    let mut shown = Value::Null;
    for _ in 0..READS_AT_MOST {
        shown = client.get(&format!("/v1/jobs/{id}")).await?.body["notification"].clone();
        if !["requested", "sending"].contains(&text(&shown["status"])) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(text(&shown["status"]).to_owned())
}
