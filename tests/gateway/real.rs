//! The one gateway of the suite.

use std::{sync::OnceLock, time::Duration};

use integration_tests::{App, Client, Setup, app::effects_in, mini_gateway};
use local::host::gateway::{Gateway, GatewayOptions, GatewayState};
use serde_json::Value;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard},
};

/// Outlives every test: the gateway's pipes belong to it.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"))
}

static GATEWAY: Mutex<Option<Gateway>> = Mutex::const_new(None);

/// Unoptimised, a test that drives the whole service in one task needs more than a thread usually has.
const STACK: usize = 32 << 20;

/// The agent that the gateway has in addition to `main`. The service knows it where a test's policy lists it.
pub(crate) const CLERK: &str = "clerk";

/// Runs one test with the gateway to itself, up and with its journal.
pub(crate) fn with_gateway<F: AsyncFnOnce(&mut Real) + Send>(test: F) {
    let ended = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, || one_test(test)).expect("a thread").join()
    });
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn one_test<F: AsyncFnOnce(&mut Real)>(test: F) {
    runtime().block_on(async {
        let mut held = GATEWAY.lock().await;
        if held.is_none() {
            let dir = mini_gateway::checkout().join(".local/tmp/real-gateway");
            let _may_be_absent = std::fs::remove_dir_all(&dir);
            let options = GatewayOptions::within(mini_gateway::checkout(), dir);
            let options = GatewayOptions { more_agents: vec![CLERK.to_owned()], ..options };
            *held = Some(Gateway::start(options).await.expect("the gateway comes up"));
        }
        let mut real = Real { held };
        real.ensure(true).await;
        test(&mut real).await;
    });
}

/// The gateway, for one test.
pub(crate) struct Real {
    held: MutexGuard<'static, Option<Gateway>>,
}

impl Real {
    pub(crate) fn gateway(&mut self) -> &mut Gateway {
        self.held.as_mut().expect("it was started")
    }

    /// Up, with or without its journal.
    pub(crate) async fn ensure(&mut self, journal: bool) {
        let gateway = self.gateway();
        let up = matches!(*gateway.state().borrow(), GatewayState::Ready(_));
        if !up || gateway.has_journal() != journal {
            gateway.restart_with_journal(journal).await.expect("the gateway comes up again");
        }
    }

    /// The service in front of it, without a mini gateway.
    pub(crate) async fn app(&mut self, setup: Setup) -> App {
        let gateway = Some((self.gateway().base_url(), self.gateway().token().to_owned()));
        App::with(Setup { gateway, ..setup }).await
    }

    /// Lines that a job's calls have written.
    pub(crate) fn effects(&mut self, id: &str) -> usize {
        effects_in(&mini_gateway::ledger(self.gateway().ledger()), id)
    }

    /// Delivers until a job's tool has left its first line. The first delivery may not send the call: a gateway that
    /// has just started may be too slow for the worker, which then comes back.
    pub(crate) async fn begin(&mut self, app: &mut App, id: &str) {
        for _ in 0..1500 {
            app.advance(Duration::ZERO).await;
            app.deliver().await;
            if self.effects(id) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the tool does not start");
    }

    /// Waits until a tool has left its first line.
    pub(crate) async fn begun(&mut self, id: &str) {
        self.leaves(id, 1).await;
    }

    /// Waits until a job's calls have left this many lines.
    pub(crate) async fn leaves(&mut self, id: &str, lines: usize) {
        // As long as a gateway that has just started may take on a busy machine.
        for _ in 0..3000 {
            if self.effects(id) >= lines {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the tool does not write {lines} lines");
    }

    /// Sends a signal to the gateway's process.
    pub(crate) async fn signal(&mut self, name: &str) {
        let pid = match *self.gateway().state().borrow() {
            GatewayState::Ready(pid) | GatewayState::Started(pid) => pid,
            ref state => panic!("the gateway is {state:?}"),
        };
        let kill = format!("kill -{name} {pid}");
        let sent = tokio::process::Command::new("/bin/sh").args(["-c", &kill]).status().await.expect("a shell");
        assert!(sent.success(), "{kill}");
    }
}

/// Brings a job to its end by the real clock.
pub(crate) async fn finish(app: &mut App, client: &Client, id: &str) -> Value {
    app.finish_in_real_time(client, id, Duration::from_secs(150)).await
}
