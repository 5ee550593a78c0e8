//! What the console's browser tests run against: the real service on one host, with the mini gateway, in a process
//! that ends when its standard input does.
//!
//! Prints one line of JSON, `{"url", "tokens"}`, and then `ok` for each command that it has executed:
//!
//! - `dead` puts a message into the dead-letter queue;
//! - `kill-in-flight NOTE` kills the gateway once a tool has begun with that note, and starts it again.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a browser test starts it, tells it its issuer, and reads its lines"
)]

use std::{error::Error, path::Path, time::Duration};

use domain::{access::operator_token::OperatorAudience, policy::PolicyFiles};
use integration_tests::mini_gateway::{MiniGateway, TOKEN};
use local::{
    emulation::console::{ConsoleOptions, SignIn},
    host::{
        operators::{OperatorKey, ROLES},
        service::{OperatorIssuer, Options, Service},
    },
};
use platform::{jwks::JwksSource, runtime::Runtime};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The id under which the issuer knows the console.
const CLIENT: &str = "console";

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let dir = std::env::temp_dir().join(format!("console-stand-{}", Runtime::system().nonce()));
    std::fs::create_dir_all(&dir)?;
    let done = stand(&dir).await;
    std::fs::remove_dir_all(&dir)?;
    done
}

async fn stand(dir: &Path) -> Result<(), Failure> {
    let mut gateway = MiniGateway::start(dir, true, None).await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/dist");
    let (operators, sign_in) = issuer()?.unzip();
    let options = Options {
        console: Some(ConsoleOptions { dir: page, sign_in }),
        operators,
        policy: with_checks()?,
        sweep_every: Duration::from_secs(2),
        ..Options::dev(dir.join("data"), gateway.base_url(), TOKEN.to_owned())
    };
    let foreign = options.operators.is_some();
    let service = Service::start(options).await?;
    let tokens = if foreign { Map::new() } else { tokens(&dir.join("data"))? };
    println!("{}", json!({"url": service.base_url, "tokens": tokens}));

    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        let (what, rest) = order.split_once(' ').unwrap_or((&order, ""));
        match what {
            "dead" => dead_letter(&service).await?,
            "kill-in-flight" => {
                until_begun(&dir.join("ledger.jsonl"), rest).await?;
                gateway.restart().await;
            }
            _ => return Err(format!("no such order: {order}").into()),
        }
        println!("ok");
    }
    service.stop().await;
    Ok(())
}

/// The built-in policy with content safety: WeChat's stub finds what a text says of itself, such as `review-20002`.
fn with_checks() -> Result<PolicyFiles, Failure> {
    let files = PolicyFiles::built_in().replacing("content_safety.toml", "enabled = false", "enabled = true");
    Ok(files.ok_or("content safety is switched on already")?)
}

/// An issuer beyond this host, when the environment names one: `CONSOLE_STAND_ISSUER`, and a file with its keys.
fn issuer() -> Result<Option<(OperatorIssuer, SignIn)>, Failure> {
    let (Ok(issuer), Ok(keys)) = (std::env::var("CONSOLE_STAND_ISSUER"), std::env::var("CONSOLE_STAND_KEYS")) else {
        return Ok(None);
    };
    let sign_in = SignIn::new(&issuer, CLIENT)?;
    let audience = OperatorAudience { issuer, audience: CLIENT.to_owned(), roles_claim: "roles".to_owned() };
    let jwks = JwksSource::parse(&keys).ok_or("CONSOLE_STAND_KEYS must be an absolute path")?;
    Ok(Some((OperatorIssuer { audience, jwks }, sign_in)))
}

/// One operator of each role.
fn tokens(data: &Path) -> Result<Map<String, Value>, Failure> {
    let key = OperatorKey::within(data);
    let mint = |role: &str| key.mint(&Runtime::system(), role, &[role.to_owned()], Duration::from_secs(3600));
    ROLES.iter().map(|role| Ok(((*role).to_owned(), mint(role)?.into()))).collect()
}

async fn dead_letter(service: &Service) -> Result<(), Failure> {
    let backend = &service.deployment.backend;
    backend.aws.sqs().send_message().queue_url(&backend.dlq_url).message_body("{}").send().await?;
    Ok(())
}

/// Waits until a tool has written its first line with this note.
async fn until_begun(ledger: &Path, note: &str) -> Result<(), Failure> {
    for _ in 0..200 {
        if std::fs::read_to_string(ledger).unwrap_or_default().contains(note) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("no tool has begun with {note}").into())
}
