//! The gateway's tokens. During a rotation two are listed, and the gateway accepts one of them.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::{Gateway, NoAnswer, Raw};
use crate::non_empty::NonEmpty;

/// Every listed token, and which of them was accepted last.
#[derive(Debug)]
pub struct GatewayTokens {
    listed: Vec<SecretString>,
    works: AtomicUsize,
}

impl GatewayTokens {
    /// Tokens in the order of the secret document.
    pub fn new(listed: NonEmpty<SecretString>) -> Self {
        Self { listed: listed.iter().cloned().collect(), works: AtomicUsize::new(0) }
    }

    /// Sends one token after another until one is accepted, and starts with that one the next time: the gateway
    /// counts refusals, and locks out a client that collects them.
    async fn show<A, F: Future<Output = A>>(
        &self,
        mut send: impl FnMut(&SecretString) -> F,
        shown: impl Fn(&A) -> Shown,
    ) -> Option<A> {
        let count = self.listed.len();
        let begin = self.works.load(Ordering::Relaxed);
        let mut last = None;
        for place in (0..count).map(|step| (begin + step) % count) {
            let answer = send(self.listed.get(place)?).await;
            match shown(&answer) {
                Shown::Accepted => self.works.store(place, Ordering::Relaxed),
                Shown::Refused => {
                    last = Some(answer);
                    continue;
                }
                Shown::Doubtful => self.works.store((place + 1) % count, Ordering::Relaxed),
            }
            return Some(answer);
        }
        last
    }
}

/// What a response says about the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Accepted, or the response says nothing about it.
    Accepted,
    /// Refused, and no call was started: another token may be sent at once.
    Refused,
    /// Refused by a responder that may have forwarded the call before. The next call uses another token.
    Doubtful,
}

/// Whether a repetition of a request that may have arrived can do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// No: it changes nothing, or has its effect once.
    None,
    /// It may start a tool a second time. Only the gateway's own refusal proves that it did not start one: a proxy
    /// can answer 401 after it has forwarded the call.
    MayStart,
}

impl Harm {
    fn shown(self, answer: &Result<Raw, NoAnswer>) -> Shown {
        let Some(raw) = answer.as_ref().ok().filter(|raw| raw.status == 401) else { return Shown::Accepted };
        let own_word = raw.body.pointer("/error/type").and_then(Value::as_str) == Some("unauthorized");
        if self == Self::None || own_word { Shown::Refused } else { Shown::Doubtful }
    }
}

/// Result of a request.
pub(super) struct Sent {
    /// The last response.
    pub(super) answer: Result<Raw, NoAnswer>,
    /// Whether it was sent more than once.
    pub(super) again: bool,
}

impl Gateway {
    /// Sends a request under the token that the gateway accepts. All attempts together end within `timeout`.
    pub(super) async fn send(
        &self,
        tokens: &GatewayTokens,
        timeout: Duration,
        harm: Harm,
        request: reqwest::RequestBuilder,
    ) -> Sent {
        let deadline = Instant::now() + timeout;
        let mut sendings = 0;
        let send = |token: &SecretString| {
            sendings += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            // A streamed body could not be sent twice; these bodies are bytes.
            let request = request.try_clone().map(|r| r.bearer_auth(token.expose_secret()).timeout(left));
            async move { Self::send_once(request.ok_or(NoAnswer::NotSent)?).await }
        };
        let answer = tokens.show(send, |answer| harm.shown(answer)).await.unwrap_or(Err(NoAnswer::NotSent));
        self.measure(&answer);
        Sent { answer, again: sendings > 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Sends tokens to a gateway that accepts those in `taken`; returns the last one sent and all that were.
    async fn shown(tokens: &GatewayTokens, taken: &[&str], refusal: Shown) -> (Option<String>, Vec<String>) {
        let seen = Mutex::new(Vec::new());
        let send = |token: &SecretString| {
            let token = token.expose_secret().to_owned();
            seen.lock().unwrap().push(token.clone());
            async move { token }
        };
        let shown = |token: &String| if taken.contains(&token.as_str()) { Shown::Accepted } else { refusal };
        let answer = tokens.show(send, shown).await;
        (answer, seen.into_inner().unwrap())
    }

    fn tokens() -> GatewayTokens {
        let listed: Vec<SecretString> = ["old", "new"].map(|token| token.to_owned().into()).into();
        GatewayTokens::new(listed.try_into().unwrap())
    }

    #[tokio::test]
    async fn a_token_that_is_refused_gives_way_to_the_next_and_what_works_is_shown_first() {
        let (tokens, refused) = (tokens(), Shown::Refused);
        assert_eq!(shown(&tokens, &["old"], refused).await.1, ["old"]);
        assert_eq!(shown(&tokens, &["new"], refused).await.1, ["old", "new"]);
        assert_eq!(shown(&tokens, &["new"], refused).await.1, ["new"], "it is remembered");
        let (last, all) = shown(&tokens, &[], refused).await;
        assert_eq!((last.as_deref(), all.len()), (Some("old"), 2), "each once, and the last refusal is the answer");
        assert_eq!(shown(&tokens, &["old"], refused).await.1, ["new", "old"], "also back");
    }

    #[tokio::test]
    async fn after_a_doubtful_refusal_nothing_is_sent_again_and_the_next_call_shows_the_next_token() {
        let tokens = tokens();
        assert_eq!(shown(&tokens, &["new"], Shown::Doubtful).await.1, ["old"]);
        assert_eq!(shown(&tokens, &["new"], Shown::Doubtful).await.1, ["new"]);
    }

    #[test]
    fn only_the_gateways_own_401_proves_that_nothing_has_begun() {
        let answer = |status, body| Ok(Raw { status, retry_after: None, body, omitted: None });
        let own = || serde_json::json!({ "error": { "type": "unauthorized" } });
        for (harm, answer, expected) in [
            (Harm::MayStart, answer(401, own()), Shown::Refused),
            (Harm::MayStart, answer(401, Value::Null), Shown::Doubtful),
            (Harm::None, answer(401, Value::Null), Shown::Refused),
            (Harm::MayStart, answer(503, own()), Shown::Accepted),
            (Harm::None, Err(NoAnswer::NotSent), Shown::Accepted),
        ] {
            assert_eq!(harm.shown(&answer), expected, "{harm:?}");
        }
    }
}
