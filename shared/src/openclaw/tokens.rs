//! The tokens that the gateway may take. While one replaces another, two are listed and the gateway takes one of them.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{Gateway, NoAnswer, Raw};
use crate::secrets::Listed;

/// Every listed token, and which of them was last accepted.
#[derive(Debug)]
pub struct GatewayTokens {
    listed: Vec<SecretString>,
    works: AtomicUsize,
}

impl GatewayTokens {
    /// In the order of the document.
    pub fn new(listed: Listed<SecretString>) -> Self {
        Self { listed: listed.iter().cloned().collect(), works: AtomicUsize::new(0) }
    }

    /// Shows one token after the other until one is not refused, and remembers that one: the gateway counts refusals, and
    /// shuts out who collects them. A refused call did not start, so showing another token sends nothing twice.
    async fn show<A, F: Future<Output = A>>(
        &self,
        mut send: impl FnMut(&SecretString) -> F,
        is_refused: impl Fn(&A) -> bool,
    ) -> Option<A> {
        let count = self.listed.len();
        let begin = self.works.load(Ordering::Relaxed);
        let mut last = None;
        for place in (0..count).map(|step| (begin + step) % count) {
            let answer = send(self.listed.get(place)?).await;
            if !is_refused(&answer) {
                self.works.store(place, Ordering::Relaxed);
                return Some(answer);
            }
            last = Some(answer);
        }
        last
    }
}

impl Gateway {
    /// Sends a request under the token that the gateway takes. All attempts together end within `timeout`.
    pub(super) async fn send(
        &self,
        tokens: &GatewayTokens,
        timeout: Duration,
        request: reqwest::RequestBuilder,
    ) -> Result<Raw, NoAnswer> {
        let deadline = Instant::now() + timeout;
        let send = |token: &SecretString| {
            let left = deadline.saturating_duration_since(Instant::now());
            // A body that is a stream could not be sent again; ours are bytes.
            let request = request.try_clone().map(|r| r.bearer_auth(token.expose_secret()).timeout(left));
            async move { Self::send_once(request.ok_or(NoAnswer::NotSent)?).await }
        };
        let is_refused = |answer: &Result<Raw, NoAnswer>| answer.as_ref().is_ok_and(|raw| raw.status == 401);
        let answer = tokens.show(send, is_refused).await.unwrap_or(Err(NoAnswer::NotSent));
        self.measure(&answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Shows tokens to a gateway that takes those, and returns the last one shown and all that were.
    async fn shown(tokens: &GatewayTokens, taken: &[&str]) -> (Option<String>, Vec<String>) {
        let seen = Mutex::new(Vec::new());
        let send = |token: &SecretString| {
            let token = token.expose_secret().to_owned();
            seen.lock().unwrap().push(token.clone());
            async move { token }
        };
        let answer = tokens.show(send, |token| !taken.contains(&token.as_str())).await;
        (answer, seen.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_token_that_is_refused_gives_way_to_the_next_and_what_works_is_shown_first() {
        let listed: Vec<SecretString> = ["old", "new"].map(|token| token.to_owned().into()).into();
        let tokens = GatewayTokens::new(listed.try_into().unwrap());
        assert_eq!(shown(&tokens, &["old"]).await.1, ["old"]);
        assert_eq!(shown(&tokens, &["new"]).await.1, ["old", "new"]);
        assert_eq!(shown(&tokens, &["new"]).await.1, ["new"], "it is remembered");
        let (last, all) = shown(&tokens, &[]).await;
        assert_eq!((last.as_deref(), all.len()), (Some("old"), 2), "each once, and the last refusal is the answer");
        assert_eq!(shown(&tokens, &["old"]).await.1, ["new", "old"], "also back");
    }
}
