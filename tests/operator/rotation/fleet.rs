//! Several instances of each function, whose caches of secrets expire at different times, and load on all of them.

use super::load::{HeldCursor, HeldSession};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    audit::checkpoint::{CheckpointVerifier, PublicKey},
    ids::Timestamp,
};
use edge_auth::EdgeAuth;
use integration_tests::{App, secrets_manager::SecretsManager};
use local::{
    emulation::wechat_stub::{AppSecrets, WechatStub},
    secrets::{
        self,
        rotate::{RotateError, Rotated},
        rotation::{Holder, Kind, Phase, Request},
        store::SecretStore,
    },
};
use platform::{
    runtime::{Clock, Runtime, System},
    secrets::SecretSource,
};
use status::Status;
use sweep::Sweep;
use worker::Worker;

pub(super) const INSTANCES: usize = 3;
/// Between the starts of two instances: their caches expire this long after one another.
const APART: Duration = Duration::from_secs(100);
/// Logs in at the beginning and at the end only.
pub(super) const SILENT: &str = "silent";
pub(super) const SESSION: Duration = Duration::from_secs(7200);

pub(super) struct Fleet {
    pub(super) app: App,
    pub(super) store: SecretStore,
    pub(super) wechat: WechatStub,
    pub(super) wechat_secret: std::path::PathBuf,
    pub(super) runtime: Runtime,
    pub(super) edges: Vec<Arc<EdgeAuth>>,
    pub(super) statuses: Vec<Arc<Status>>,
    pub(super) workers: Vec<Arc<Worker>>,
    pub(super) sweeps: Vec<Sweep>,
    checkpoint_key: PublicKey,
    pub(super) users: BTreeMap<String, String>,
    pub(super) sessions: Vec<HeldSession>,
    pub(super) cursors: Vec<HeldCursor>,
    pub(super) open: Vec<String>,
    pub(super) over: Vec<String>,
    pub(super) tick: usize,
}

impl Fleet {
    pub(super) async fn start() -> Self {
        let app = App::start().await;
        let runtime = Runtime::new(Arc::new(app.clock.clone()), Arc::new(System));
        let aws = SecretsManager::default().beside(&app.deployment.backend.aws);
        let ids = Holder::ALL.map(|holder| (holder, format!("stack/{}", holder.function())));
        for (_, id) in &ids {
            aws.secrets_manager().create_secret().name(id).send().await.expect("a secret is made");
        }
        let store = SecretStore::Manager { aws: aws.clone(), ids: ids.into() };
        let token = integration_tests::mini_gateway::TOKEN;
        let documents = secrets::documents(&runtime, "first-app-secret", token).unwrap();
        let checkpoint_key = documents[&Holder::Sweep].pointer("/checkpoints/keys/0").unwrap().clone();
        let checkpoint_key = serde_json::from_value(checkpoint_key).unwrap();
        store.fill(&documents).await.unwrap();
        let wechat_secret = app.secrets_file.with_file_name("wechat-secret");
        std::fs::write(&wechat_secret, "first-app-secret").unwrap();
        let known = AppSecrets::File(wechat_secret.clone());
        let wechat = WechatStub::with_secrets("wx-test", known, (0, "--port"), runtime.clone()).await.unwrap();
        let mut fleet = Self {
            app,
            store,
            wechat,
            wechat_secret,
            runtime,
            edges: Vec::new(),
            statuses: Vec::new(),
            workers: Vec::new(),
            sweeps: Vec::new(),
            checkpoint_key,
            users: BTreeMap::new(),
            sessions: Vec::new(),
            cursors: Vec::new(),
            open: Vec::new(),
            over: Vec::new(),
            tick: 0,
        };
        for _ in 0..INSTANCES {
            fleet.start_instances(&aws).await;
            fleet.app.advance(APART).await;
        }
        let silent = fleet.log_in_everywhere(&[SILENT.to_owned()]).await;
        assert_eq!(silent, [""; 0]);
        fleet.sessions.clear();
        fleet
    }

    async fn start_instances(&mut self, aws: &platform::aws::AwsSettings) {
        let source = |name: &str| SecretSource::Manager(format!("stack/{name}"));
        let (mut edge, mut status, mut worker) =
            (self.app.deployment.edge_auth(), self.app.deployment.status(), self.app.deployment.worker());
        edge.secrets = source("edge-auth");
        edge.table.aws = aws.clone();
        edge.wechat_base_url = self.wechat.base_url();
        // The load comes from one address.
        edge.login_rate = domain::limits::Rate::new(Duration::from_millis(1), 10_000);
        status.secrets = source("status");
        status.table.aws = aws.clone();
        worker.secrets = source("worker");
        worker.table.aws = aws.clone();
        let mut sweep = self.app.deployment.sweep();
        sweep.secrets = source("sweep");
        sweep.table.aws = aws.clone();
        self.sweeps.push(Sweep::new(sweep, self.runtime.clone()).unwrap());
        let edge = EdgeAuth::new(edge, self.runtime.clone()).unwrap();
        let status = Status::new(status, self.runtime.clone()).unwrap();
        let worker = Worker::new(worker, self.runtime.clone()).unwrap();
        edge.load_secrets().await.unwrap();
        status.load_secrets().await.unwrap();
        worker.load_secrets().await.unwrap();
        self.edges.push(Arc::new(edge));
        self.statuses.push(Arc::new(status));
        self.workers.push(Arc::new(worker));
    }

    /// None is missing or untrusted, by the first key alone, through every rotation since; nor late, where time went by
    /// in small steps.
    pub(super) async fn verify_checkpoints(&self, small_steps: bool) {
        let kept = self.app.inspect().table().checkpoints_after(0, 10_000).await.unwrap();
        let mut verifier = CheckpointVerifier::new(std::slice::from_ref(&self.checkpoint_key)).unwrap();
        let mut last = None;
        for kept in &kept {
            let checkpoint = verifier.next(&serde_json::from_str(&kept.document).unwrap()).unwrap();
            let at = checkpoint.signed_at().unwrap();
            let late = last.is_some_and(|last: Timestamp| at.since(last) > Duration::from_secs(600));
            assert!(!(late && small_steps), "checkpoint {} is late", checkpoint.statement.seq);
            assert!(kept.exported_at.is_some(), "checkpoint {} is not exported", checkpoint.statement.seq);
            last = Some(at);
        }
        assert!(kept.len() > 3, "there were checkpoints: {}", kept.len());
    }

    pub(super) async fn stop(self) {
        self.wechat.stop().await;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    pub(super) async fn step(&self, kind: Kind, phase: Phase, value: Option<&str>) -> Result<Rotated, RotateError> {
        self.step_when(kind, phase, value, false).await
    }

    pub(super) async fn step_when(
        &self,
        kind: Kind,
        phase: Phase,
        value: Option<&str>,
        at_once: bool,
    ) -> Result<Rotated, RotateError> {
        let fresh = match (kind, value) {
            (_, Some(value)) => value.into(),
            (Kind::SessionKeys | Kind::CheckpointKeys, None) => secrets::session_key(&self.runtime).unwrap(),
            (_, None) => secrets::random_key(&self.runtime).into(),
        };
        let fresh = Some(fresh);
        self.store.rotate(&Request { kind, phase, fresh, session_lifetime: SESSION, at_once, now: self.now() }).await
    }

    /// WeChat, or the gateway, takes another value from now on, and the old one no longer.
    pub(super) async fn change_outside(&mut self, kind: Kind, value: &str) {
        match kind {
            Kind::Wechat => std::fs::write(&self.wechat_secret, value).unwrap(),
            Kind::GatewayToken => {
                self.app.gateway().restart_with_token(value).await;
                self.app.advance(Duration::ZERO).await;
            }
            _ => {}
        }
    }
}
