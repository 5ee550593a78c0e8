//! A service that starts with another clock than it stopped with.

use std::{process::Command, sync::Arc, time::Duration};

use domain::ids::Timestamp;
use local::host::service::{Options, Service};
use platform::runtime::{Clock, Runtime, System};

use super::directory;

/// The system's clock, forty days ago.
#[derive(Debug)]
struct FortyDaysAgo;

const FORTY_DAYS: Duration = Duration::from_secs(40 * 86_400);

impl Clock for FortyDaysAgo {
    fn now(&self) -> Timestamp {
        System.now().minus(FORTY_DAYS)
    }
}

#[tokio::test]
async fn a_start_after_a_jump_says_so_and_deletes_late_until_an_operator_names_the_day() {
    let data = directory("clock");
    let options = Options::dev(data.clone(), "http://127.0.0.1:9".to_owned(), "no-token".to_owned());
    let runtime = Runtime::new(Arc::new(FortyDaysAgo), Arc::new(System));
    let before = Service::start(Options { runtime, ..options.clone() }).await.unwrap();
    assert_eq!(before.retention_clock.late_by(), None);
    before.stop().await;
    let after = Service::start(options.clone()).await.unwrap();
    assert!(after.retention_clock.late_by().is_some_and(|late| late.as_secs() / 86_400 == 40));
    after.stop().await;

    let clock = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        let output = command.arg("clock").args(arguments).arg("--data").arg(&data).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = clock(&["show"]);
    assert!(code == Some(0) && out.contains("40 days late") && out.contains("local clock confirm"), "{out}{err}");
    let date = |at: Timestamp| at.to_string().get(..10).unwrap().to_owned();
    let (code, _, err) = clock(&["confirm", "--today", &date(System.now().minus(FORTY_DAYS))]);
    assert!(code == Some(1) && err.contains("set the clock first"), "{err}");
    assert!(clock(&["show"]).1.contains("40 days late"), "a refused word changes nothing");
    let (code, out, err) = clock(&["confirm", "--today", &date(System.now())]);
    assert!(code == Some(0) && !out.contains("days late"), "{out}{err}");
    let confirmed = Service::start(options).await.unwrap();
    assert_eq!(confirmed.retention_clock.late_by(), None);
    confirmed.stop().await;
}
