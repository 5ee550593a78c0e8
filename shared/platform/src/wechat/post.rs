//! One request to WeChat's server API with a JSON body, and what its answer proves.

use std::time::Duration;

use domain::json;
use reqwest::{RequestBuilder, Url};
use serde_json::Value;

use super::{WechatClient, read_capped};

/// Timeout of one request. No client waits for it, and the worker that sends it has other messages to handle.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Outcome of one request.
pub(super) enum PostAnswer<T> {
    Answer(T),
    /// Nothing was sent.
    NotSent,
    /// Something was, or may have been, sent, and there is no answer that can be read.
    Lost,
}

impl WechatClient {
    pub(super) async fn post<T: serde::de::DeserializeOwned>(&self, url: Url, body: &Value) -> PostAnswer<T> {
        let request: RequestBuilder = self.http.post(url).timeout(TIMEOUT);
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string());
        let response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            // WeChat refuses with status 200, so any other status is of a proxy, which may have forwarded the request.
            Ok(_) => return PostAnswer::Lost,
            // Also when connecting takes too long: then nothing was sent.
            Err(error) if error.is_connect() => return PostAnswer::NotSent,
            Err(_) => return PostAnswer::Lost,
        };
        let Ok(Some(bytes)) = read_capped(response).await else { return PostAnswer::Lost };
        // The content type is often text/plain, or wrong, so it is not checked.
        json::foreign(&bytes).map_or(PostAnswer::Lost, PostAnswer::Answer)
    }
}
