//! The operators' issuer: its keys are cached, read at once for an unknown key, and kept for a limited time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use integration_tests::{App, OperatorClient};
use operator::Operator;
use platform::{
    jwks::{AGAIN_AFTER, JwksSource, LAST_GOOD_FOR, MAX_AGE},
    metrics::history::History,
    runtime::Runtime,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// An issuer that answers with this, and counts.
struct Issuer {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(key_set: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new((200, key_set.to_owned())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (answer.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                counted.fetch_add(1, Ordering::SeqCst);
                let (status, body) = served.lock().unwrap().clone();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The app, whose operators' keys come from this issuer.
fn at(app: &mut App, issuer: &Issuer) {
    let config =
        platform::config::OperatorConfig { jwks: JwksSource::parse(&issuer.url).unwrap(), ..app.deployment.operator() };
    let runtime: Runtime = app.functions.runtime.clone();
    app.functions.operator = Arc::new(Operator::remembering(config, runtime, History::default()).unwrap());
}

fn key_set(app: &App) -> String {
    std::fs::read_to_string(app.deployment.operator_key().key_set()).unwrap()
}

async fn zhang(app: &App) -> integration_tests::Reply {
    app.operator("zhang", &["viewer"]).get("/me").await
}

/// Another header, under the same signature: what matters is the key that it names.
fn naming(token: &str, kid: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = serde_json::json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}).to_string();
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[tokio::test]
async fn keys_are_read_once_in_ten_minutes_and_a_made_up_one_makes_no_flood() {
    let mut app = App::start().await;
    let issuer = Issuer::start(&key_set(&app)).await;
    at(&mut app, &issuer);
    for _ in 0..3 {
        assert_eq!(zhang(&app).await.status, 200);
    }
    assert_eq!(issuer.asked(), 1);
    let token = app.operator("zhang", &["viewer"]).0.token;
    app.clock.advance(AGAIN_AFTER);
    for n in 0..20 {
        let forged = OperatorClient::new(app.functions.clone(), &naming(&token, &format!("made-up-{n}")));
        assert_eq!(forged.get("/me").await.verdict(), (401, "no_operator"));
        assert_eq!(zhang(&app).await.status, 200);
    }
    assert_eq!(issuer.asked(), 2, "one more look, for the first of them");
    app.clock.advance(MAX_AGE);
    assert_eq!((zhang(&app).await.status.as_u16(), issuer.asked()), (200, 3));
}

#[tokio::test]
async fn a_new_key_is_found_within_half_a_minute_and_one_that_is_gone_after_ten() {
    let mut app = App::start().await;
    let issuer = Issuer::start(r#"{"keys": []}"#).await;
    at(&mut app, &issuer);
    assert_eq!(zhang(&app).await.verdict(), (401, "no_operator"));
    issuer.answers(200, &key_set(&app));
    assert_eq!(zhang(&app).await.verdict(), (401, "no_operator"), "not asked again so soon");
    app.clock.advance(AGAIN_AFTER);
    assert_eq!(zhang(&app).await.status, 200);
    issuer.answers(200, r#"{"keys": []}"#);
    assert_eq!(zhang(&app).await.status, 200);
    app.clock.advance(MAX_AGE);
    assert_eq!(zhang(&app).await.verdict(), (401, "no_operator"));
}

#[tokio::test]
async fn an_unreachable_issuer_locks_operators_out_only_after_an_hour() {
    let mut app = App::start().await;
    let issuer = Issuer::start(&key_set(&app)).await;
    at(&mut app, &issuer);
    assert_eq!(zhang(&app).await.status, 200);
    for (status, body) in [(500, ""), (302, ""), (200, "not json"), (200, "{}"), (200, &" ".repeat(300_000))] {
        issuer.answers(status, body);
        app.clock.advance(MAX_AGE);
        let before = issuer.asked();
        assert_eq!((zhang(&app).await.status.as_u16(), zhang(&app).await.status.as_u16()), (200, 200), "{status}");
        assert_eq!(issuer.asked(), before + 1, "not with every request");
    }
    app.clock.advance(LAST_GOOD_FOR);
    let reply = zhang(&app).await;
    assert_eq!(reply.verdict(), (503, "unavailable"), "{}", reply.body);
    assert!(!reply.body.to_string().contains("127.0.0.1"));
    issuer.answers(200, &key_set(&app));
    app.clock.advance(AGAIN_AFTER);
    assert_eq!(zhang(&app).await.status, 200);
}

#[tokio::test]
async fn many_at_once_read_the_keys_once() {
    let mut app = App::start().await;
    let issuer = Issuer::start(&key_set(&app)).await;
    at(&mut app, &issuer);
    let zhang = app.operator("zhang", &["viewer"]);
    let replies = tokio::join!(zhang.get("/me"), zhang.get("/me"), zhang.get("/me"), zhang.get("/controls"));
    assert_eq!([replies.0.status, replies.1.status, replies.2.status, replies.3.status].map(|s| s.as_u16()), [200; 4]);
    assert_eq!(issuer.asked(), 1);
    app.clock.advance(Duration::ZERO);
}
