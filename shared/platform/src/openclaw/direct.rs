//! The gateway's own tool call, `POST /tools/invoke`: for reads without a journal, for the guard probe, and for
//! writes only where the operator allows it. It does not deduplicate or validate arguments, and aborts the tool when
//! the client disconnects.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CallAnswer, Gateway, GatewayTokens, tokens::Harm, tool_answer};
use domain::ids::TraceParent;

impl Gateway {
    /// Calls a tool. `key` only becomes part of the gateway's id of the call; it does not prevent a repetition.
    pub async fn call_directly(
        &self,
        tokens: &GatewayTokens,
        (tool, arguments): (&str, &Value),
        key: &str,
        trace: Option<&TraceParent>,
        timeout: Duration,
    ) -> CallAnswer {
        let body = json!({ "tool": tool, "args": arguments, "idempotencyKey": key });
        let mut request = self.http.post(format!("{}/tools/invoke", self.base)).json(&body);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
        }
        let sent = self.send(tokens, timeout, Harm::MayStart, request).await;
        let call = match sent.answer {
            Ok(raw) => match tool_answer(raw.status, &raw.body, raw.omitted) {
                CallAnswer::NotStarted(_) => CallAnswer::NotStarted(raw.retry_after),
                answer => answer,
            },
            Err(none) => none.into(),
        };
        call.of_all_sendings(sent.again)
    }
}
