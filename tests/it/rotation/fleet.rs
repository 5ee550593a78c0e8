//! Several instances of each function, whose caches of secrets expire at different times, and load on all of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use edge_auth::EdgeAuth;
use integration_tests::{App, Client, Reply, secrets_manager::SecretsManager};
use local::{
    front::Functions,
    rotate::{RotateError, Rotated},
    rotation::{Holder, Kind, Phase, Request},
    secret_store::SecretStore,
    secrets,
    wechat_stub::{AppSecrets, WechatStub},
};
use serde_json::{Value, json};
use shared::{
    clock::{Clock, System, World},
    secrets::SecretSource,
    timestamp::Timestamp,
};
use status::Status;
use tokio::task::JoinSet;
use worker::Worker;

const INSTANCES: usize = 3;
/// Between the starts of two instances: their caches expire this long after one another.
const APART: Duration = Duration::from_secs(100);
const NAMES: [&str; 3] = ["ann", "bob", "cem"];
/// Logs in at the beginning and at the end only.
pub(super) const SILENT: &str = "silent";
pub(super) const SESSION: Duration = Duration::from_secs(7200);
/// As long as docs/rotation.md says that a cursor is good.
const CURSOR: Duration = Duration::from_secs(24 * 3600);

struct HeldSession {
    name: String,
    token: String,
    user_id: String,
    ends_at: Timestamp,
}

struct HeldCursor {
    name: String,
    text: String,
    given_at: Timestamp,
}

pub(super) struct Fleet {
    pub(super) app: App,
    pub(super) store: SecretStore,
    wechat: WechatStub,
    wechat_secret: std::path::PathBuf,
    world: World,
    edges: Vec<Arc<EdgeAuth>>,
    statuses: Vec<Arc<Status>>,
    workers: Vec<Arc<Worker>>,
    users: BTreeMap<String, String>,
    sessions: Vec<HeldSession>,
    cursors: Vec<HeldCursor>,
    open: Vec<String>,
    over: Vec<String>,
    tick: usize,
}

impl Fleet {
    pub(super) async fn start() -> Self {
        let app = App::start().await;
        let world = World::new(Arc::new(app.clock.clone()), Arc::new(System));
        let aws = SecretsManager::default().beside(&app.deployment.backend.aws);
        let ids = Holder::ALL.map(|holder| (holder, format!("stack/{}", holder.function())));
        for (_, id) in &ids {
            aws.secrets_manager().create_secret().name(id).send().await.expect("a secret is made");
        }
        let store = SecretStore::Manager { aws: aws.clone(), ids: ids.into() };
        let token = integration_tests::mini_gateway::TOKEN;
        store.fill(&secrets::documents(&world, "first-app-secret", token).unwrap()).await.unwrap();
        let wechat_secret = app.secrets_file.with_file_name("wechat-secret");
        std::fs::write(&wechat_secret, "first-app-secret").unwrap();
        let known = AppSecrets::File(wechat_secret.clone());
        let wechat = WechatStub::with_secrets("wx-test", known, (0, "--port"), world.clone()).await.unwrap();
        let mut fleet = Self {
            app,
            store,
            wechat,
            wechat_secret,
            world,
            edges: Vec::new(),
            statuses: Vec::new(),
            workers: Vec::new(),
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

    async fn start_instances(&mut self, aws: &shared::aws::AwsSettings) {
        let source = |name: &str| SecretSource::Manager(format!("stack/{name}"));
        let (mut edge, mut status, mut worker) =
            (self.app.deployment.edge_auth(), self.app.deployment.status(), self.app.deployment.worker());
        edge.secrets = source("edge-auth");
        edge.table.aws = aws.clone();
        edge.wechat_base_url = self.wechat.base_url();
        // The load comes from one address.
        edge.login_rate = shared::rate_limit::Rate::new(Duration::from_millis(1), 10_000);
        status.secrets = source("status");
        status.table.aws = aws.clone();
        worker.secrets = source("worker");
        worker.table.aws = aws.clone();
        let edge = EdgeAuth::new(edge, self.world.clone()).unwrap();
        let status = Status::new(status, self.world.clone()).unwrap();
        let worker = Worker::new(worker, self.world.clone()).unwrap();
        edge.load_secrets().await.unwrap();
        status.load_secrets().await.unwrap();
        worker.load_secrets().await.unwrap();
        self.edges.push(Arc::new(edge));
        self.statuses.push(Arc::new(status));
        self.workers.push(Arc::new(worker));
    }

    pub(super) async fn stop(self) {
        self.wechat.stop().await;
        self.app.stop().await;
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
            (Kind::SessionKeys, None) => secrets::session_key(&self.world).unwrap(),
            (_, None) => secrets::random_key(&self.world).into(),
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

    /// Lets time pass under load. Returns what went wrong.
    pub(super) async fn pass(&mut self, time: Duration, step: Duration) -> Vec<String> {
        let until = self.now().plus(time);
        let mut faults = Vec::new();
        while self.now() < until {
            self.app.advance(step.min(until.since(self.now()).max(Duration::from_millis(1)))).await;
            faults.extend(self.load().await);
        }
        faults
    }

    /// One round of load on every instance. Returns what went wrong.
    pub(super) async fn load(&mut self) -> Vec<String> {
        self.tick += 1;
        let mut names: Vec<String> = NAMES.map(str::to_owned).into();
        // Somebody who has never been here, at all instances at once.
        names.push(format!("newcomer-{}", self.tick));
        let mut faults = self.log_in_everywhere(&names).await;
        let now = self.now();
        self.sessions.retain(|session| session.ends_at > now);
        self.cursors.retain(|cursor| now.since(cursor.given_at) < CURSOR);
        faults.extend(self.read_everywhere().await);
        faults.extend(self.submit_everywhere().await);
        faults.extend(self.run_jobs().await);
        faults.into_iter().map(|fault| format!("round {}: {fault}", self.tick)).collect()
    }

    fn client(&self, edge: usize, status: usize, session: Option<&HeldSession>) -> Client {
        let functions = Functions {
            edge_auth: self.edges[edge].clone(),
            status: self.statuses[status].clone(),
            world: self.world.clone(),
        };
        session.map_or_else(
            || Client::new(functions.clone(), "", ""),
            |session| Client::new(functions.clone(), &session.token, &session.user_id),
        )
    }

    pub(super) async fn log_in_everywhere(&mut self, names: &[String]) -> Vec<String> {
        let mut logins = JoinSet::new();
        for name in names {
            for edge in 0..INSTANCES {
                let (client, name) = (self.client(edge, 0, None), name.clone());
                let body = json!({ "code": format!("dev-{name}") }).to_string();
                let headers = [("content-type", "application/json")];
                logins.spawn(async move {
                    (edge, name, client.send("POST", "/v1/sessions", &headers, body.as_bytes()).await)
                });
            }
        }
        let mut faults = Vec::new();
        while let Some(login) = logins.join_next().await {
            let (edge, name, reply): (usize, String, Reply) = login.unwrap();
            if reply.status != 201 {
                faults.push(format!("login of {name} at edge-auth {edge}: {:?}", reply.verdict()));
                continue;
            }
            let text = |field: &str| reply.body[field].as_str().unwrap().to_owned();
            let user_id = text("user_id");
            let known = self.users.entry(name.clone()).or_insert_with(|| user_id.clone());
            if *known != user_id {
                faults.push(format!("{name} became somebody else at edge-auth {edge}"));
            }
            let ends_at = Timestamp::parse(&reply.body["expires_at"]).unwrap();
            self.sessions.push(HeldSession { name, token: text("token"), user_id, ends_at });
        }
        faults
    }

    /// The oldest and the newest sessions and cursors, at every instance of status.
    async fn read_everywhere(&mut self) -> Vec<String> {
        let mut reads = JoinSet::new();
        for session in ends(&self.sessions, 9) {
            for status in 0..INSTANCES {
                let (client, name) = (self.client(0, status, Some(session)), session.name.clone());
                reads.spawn(async move { (status, name, "session", client.get("/v1/jobs?limit=1").await) });
            }
        }
        for cursor in ends(&self.cursors, 9) {
            let Some(session) = self.sessions.iter().rev().find(|session| session.name == cursor.name) else { continue };
            for status in 0..INSTANCES {
                let (client, name) = (self.client(0, status, Some(session)), cursor.name.clone());
                let path = format!("/v1/jobs?limit=1&cursor={}", cursor.text);
                reads.spawn(async move { (status, name, "cursor", client.get(&path).await) });
            }
        }
        let (mut faults, now) = (Vec::new(), self.now());
        while let Some(read) = reads.join_next().await {
            let (status, name, what, reply) = read.unwrap();
            if reply.status != 200 {
                faults.push(format!("{what} of {name} at status {status}: {:?}", reply.verdict()));
            }
            if let Some(text) = reply.body["next_cursor"].as_str() {
                self.cursors.push(HeldCursor { name, text: text.to_owned(), given_at: now });
            }
        }
        faults
    }

    /// One job at every instance of edge-auth, under the oldest session and under the newest.
    async fn submit_everywhere(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for edge in 0..INSTANCES {
            for session in [self.sessions.first(), self.sessions.last()].into_iter().flatten() {
                let (client, id) = (self.client(edge, 0, Some(session)), self.app.new_id());
                let reply = client.submit(&id, "ledger_append", json!({ "note": "rotating" })).await;
                if reply.status == 202 {
                    self.open.push(id);
                } else {
                    faults.push(format!("job of {} at edge-auth {edge}: {:?}", session.name, reply.verdict()));
                }
            }
        }
        faults
    }

    /// The queue's messages, dealt out to the workers.
    async fn run_jobs(&mut self) -> Vec<String> {
        for round in 0..INSTANCES * 2 {
            let messages = self.app.receive().await;
            for (place, message) in messages.chunks(3).enumerate() {
                self.app.worker = self.workers[(self.tick + round + place) % INSTANCES].clone();
                self.app.hand_over(message).await;
            }
        }
        let ledger = self.app.gateway().ledger();
        let mut faults = Vec::new();
        for id in std::mem::take(&mut self.open) {
            match integration_tests::app::effects_in(&ledger, &id) {
                0 => self.open.push(id),
                1 => self.over.push(id),
                n => faults.push(format!("job {id} ran {n} times")),
            }
        }
        faults
    }

    /// Lets every open job end. Returns those that did not run exactly once.
    pub(super) async fn settle(&mut self) -> Vec<String> {
        for _ in 0..20 {
            if self.open.is_empty() {
                break;
            }
            self.app.advance(integration_tests::app::AFTER_A_CRASH).await;
            self.app.sweep().await;
            let faults = self.run_jobs().await;
            assert_eq!(faults, [""; 0]);
        }
        let ledger: Vec<Value> = self.app.gateway().ledger();
        let all = self.open.iter().chain(&self.over);
        all.map(|id| (id, integration_tests::app::effects_in(&ledger, id)))
            .filter(|(_, effects)| *effects != 1)
            .map(|(id, effects)| format!("job {id} ran {effects} times"))
            .collect()
    }

    /// How many jobs there were.
    pub(super) fn jobs(&self) -> usize {
        self.over.len() + self.open.len()
    }
}

/// The first and the last few.
fn ends<T>(all: &[T], few: usize) -> impl Iterator<Item = &T> {
    let last = all.len().saturating_sub(few).max(few.min(all.len()));
    all.iter().take(few).chain(all.iter().skip(last))
}
