//! The whole service in one process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use aws_sdk_sqs::types::Message;
use edge_auth::EdgeAuth;
use local::{
    backend::Backend, configs::Deployment, connector::InProcess, front::Functions, poller, wechat_stub::WechatStub,
};
use operator::Operator;
use serde_json::{Value, json};
use shared::{
    approval::{DecidedBy, OperatorId, Said},
    audit::OperatorActor,
    aws::AwsSettings,
    clock::{Clock, System, World},
    config::{EdgeAuthConfig, WorkerConfig},
    controls::{self, Change},
    digest::Digest,
    intent::Via,
    metrics::{Meter, history::History},
    mode::{CheckpointSeen, Mode, Reason},
    policy::Policy,
    request_id::RequestId,
    table::{Applied, DecisionMade, Stored, Table},
};
use status::Status;
use sweep::Sweep;
use uuid::Uuid;
use worker::Worker;

use crate::{Capture, Client, Faults, MiniGateway, Reply, clock::ManualClock, delays::Delays, mini_gateway};

/// What an app is made of.
#[derive(Debug)]
pub struct Setup {
    /// Whether the gateway has its journal.
    pub journal: bool,
    /// Whether writes may go without one.
    pub unjournaled_writes: bool,
    /// Changes to edge-auth's configuration.
    pub edge: fn(&mut EdgeAuthConfig),
    /// Changes to the worker's configuration.
    pub worker: fn(&mut WorkerConfig),
    /// Another gateway than a mini one: its address and its token.
    pub gateway: Option<(String, String)>,
    /// The service's mode; none was ever set when absent.
    pub mode: Option<Mode>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            journal: true,
            unjournaled_writes: false,
            edge: |_| {},
            worker: |_| {},
            gateway: None,
            mode: Some(Mode::Full),
        }
    }
}

/// The service.
#[derive(Debug)]
pub struct App {
    /// Its clock.
    pub clock: ManualClock,
    /// What it has measured.
    pub metrics: Capture,
    /// What goes wrong between it and table and queue.
    pub faults: Faults,
    /// Messages that are not due yet.
    pub delays: Delays,
    /// The gateway, unless another one was given.
    pub gateway: Option<MiniGateway>,
    /// The functions behind HTTP.
    pub functions: Functions,
    /// The worker.
    pub worker: Arc<Worker>,
    /// The sweeper.
    pub sweep: Sweep,
    /// The table, without faults.
    pub table: Table,
    /// Its secrets document.
    pub secrets_file: PathBuf,
    /// Settings of the functions.
    pub deployment: Deployment,
    /// AWS without faults.
    pub aws: AwsSettings,
    edge: fn(&mut EdgeAuthConfig),
    wechat: WechatStub,
    undone: Vec<String>,
    dir: PathBuf,
}

const APP_ID: &str = "wx-test";
/// A lease and the visibility timeout are both over after this long.
pub const AFTER_A_CRASH: Duration = Duration::from_secs(61);

impl App {
    /// With journal and mini gateway.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// As set up.
    pub async fn with(setup: Setup) -> Self {
        let clock = ManualClock::default();
        let metrics = Capture::new(clock.clone());
        let history = History::default();
        let world = World::new(Arc::new(clock.clone()), Arc::new(System));
        let world = world.metered(Meter::into_sink((metrics.clone(), history.clone())));
        let dir = mini_gateway::checkout().join(".local/tmp/flows").join(Uuid::now_v7().to_string());
        std::fs::create_dir_all(&dir).expect("the checkout is writable");
        let engines = match second_engine().await {
            Some(settings) => settings,
            None => InProcess::memory().settings(),
        };
        let backend = Backend::create(engines).await.expect("the engines take a table and two queues");
        let (gateway, base_url, token) = match &setup.gateway {
            Some((base_url, token)) => (None, base_url.clone(), token.clone()),
            None => {
                let gateway = MiniGateway::start(&dir, setup.journal).await;
                let base_url = gateway.base_url();
                (Some(gateway), base_url, mini_gateway::TOKEN.to_owned())
            }
        };
        let secrets_file = dir.join("secrets.json");
        let given = local::secrets::Given { wechat_app_secret: None, gateway_token: token };
        let app_secret = local::secrets::install(&secrets_file, &World::system(), &given).expect("secrets are made");
        let wechat = WechatStub::start(APP_ID, &app_secret, 0, world.clone()).await.expect("a free port");

        let faults = Faults::default();
        let delays = Delays::new(clock.clone());
        let aws = backend.aws.clone();
        let mut faulty = backend.clone();
        let inner = faulty.aws.http_client.take().expect("the engines have their own client");
        faulty.aws.http_client = Some(faults.client(delays.client(inner)));
        let deployment = Deployment {
            backend: faulty,
            secrets_file: secrets_file.clone(),
            wechat_base_url: wechat.base_url(),
            wechat_app_id: APP_ID.to_owned(),
            gateway_base_url: base_url,
        };
        let mut edge = deployment.edge_auth();
        (setup.edge)(&mut edge);
        let mut worker = deployment.worker();
        worker.unjournaled_writes = setup.unjournaled_writes;
        (setup.worker)(&mut worker);
        let app = Self {
            functions: Functions {
                console: None,
                edge_auth: Arc::new(EdgeAuth::new(edge, world.clone()).expect("edge-auth starts")),
                status: Arc::new(Status::new(deployment.status(), world.clone()).expect("status starts")),
                operator: Arc::new(operator(&deployment, &world, history)),
                world: world.clone(),
            },
            worker: Arc::new(Worker::new(worker, world.clone()).expect("the worker starts")),
            sweep: Sweep::new(deployment.sweep(), world).expect("the sweeper starts"),
            table: Table::new(aws.dynamodb(), backend.table.clone(), Duration::from_secs(30 * 86_400)),
            clock,
            metrics,
            faults,
            delays,
            gateway,
            secrets_file,
            deployment,
            aws,
            edge: setup.edge,
            wechat,
            undone: Vec::new(),
            dir,
        };
        if let Some(mode) = setup.mode {
            app.mode(mode).await;
        }
        app
    }

    /// Sets the service's mode, as the command line does. Every function sees it once [`controls::MAX_AGE`] has passed.
    pub async fn mode(&self, mode: Mode) {
        self.change(&Change::mode(mode, reason())).await;
    }

    /// Sets the mode of one tool.
    pub async fn switch_tool(&self, tool: &str, mode: Mode) {
        self.change(&Change::tool(policy().catalogue(), tool, mode, reason()).expect("a tool")).await;
    }

    /// Opens a destructive tool for so many minutes; 0 shuts it.
    pub async fn open_tool(&self, tool: &str, minutes: u32) {
        self.change(&Change::opening(policy().catalogue(), tool, minutes, reason()).expect("a destructive tool")).await;
    }

    /// Notes a checkpoint that was signed now, and exported now or not at all.
    pub async fn checkpoint(&self, exported: bool) {
        let now = self.clock.now();
        let seen = CheckpointSeen {
            seq: u64::try_from(now.millis()).expect("after 1970"),
            signed_at: now,
            exported_at: exported.then_some(now),
        };
        self.table.note_checkpoint(seen).await.expect("the table answers");
    }

    async fn change(&self, change: &Change) {
        let world = World::new(Arc::new(self.clock.clone()), Arc::new(System));
        let changed = controls::change(&self.table, &world, OperatorActor::Command, change, "policy-tests").await;
        assert_eq!(changed.expect("the table answers"), Applied::Done);
    }

    /// The mini gateway.
    pub fn gateway(&mut self) -> &mut MiniGateway {
        self.gateway.as_mut().expect("this app has a mini gateway")
    }

    /// A worker that has just started, with nothing cached, and another policy if given.
    pub fn new_worker(&mut self, policy: Option<Policy>) {
        let world = self.metrics.metered(World::new(Arc::new(self.clock.clone()), Arc::new(System)));
        let config = self.deployment.worker();
        let worker = match policy {
            Some(policy) => Worker::with_policy(config, world, policy),
            None => Worker::new(config, world),
        };
        self.worker = Arc::new(worker.expect("the worker starts"));
    }

    /// An edge-auth that has just started, with nothing cached, and another policy if given.
    pub fn new_edge(&mut self, policy: Option<Policy>) {
        let world = self.metrics.metered(World::new(Arc::new(self.clock.clone()), Arc::new(System)));
        let mut config = self.deployment.edge_auth();
        (self.edge)(&mut config);
        let edge = match policy {
            Some(policy) => EdgeAuth::with_policy(config, world, policy),
            None => EdgeAuth::new(config, world),
        };
        self.functions.edge_auth = Arc::new(edge.expect("edge-auth starts"));
    }

    /// Nobody's client.
    pub fn anonymous(&self) -> Client {
        Client::new(self.functions.clone(), "", "")
    }

    /// Logs a user in, with any code.
    pub async fn log_in_with(&self, code: &str) -> Reply {
        let body = json!({ "code": code }).to_string();
        self.anonymous().send("POST", "/v1/sessions", &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Logs a user in.
    pub async fn login(&self, name: &str) -> Client {
        let reply = self.log_in_with(&format!("dev-{name}")).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let text = |field: &str| reply.body[field].as_str().expect("a login answers with it").to_owned();
        Client::new(self.functions.clone(), &text("token"), &text("user_id"))
    }

    /// A login code of that user that WeChat takes once.
    pub fn fresh_code(&self, name: &str) -> String {
        format!("dev-{name}.{}", Uuid::now_v7().simple())
    }

    /// How often WeChat was asked about a code.
    pub fn wechat_asked(&self) -> u64 {
        self.wechat.asked()
    }

    /// The user of that name says yes to what the service shows of a job.
    pub async fn approve(&self, client: &Client, name: &str, id: &str) -> Reply {
        client.decide(id, "approve", &client.digest(id).await, Some(&self.fresh_code(name))).await
    }

    /// An operator decides what the service shows of a job.
    pub async fn operator_decides(&self, client: &Client, id: &str, approved: bool) -> DecisionMade {
        let digest = Digest::try_from(client.digest(id).await).expect("the job asks");
        let by = DecidedBy::Operator(OperatorId::from_random(*Uuid::now_v7().as_bytes()));
        let (user, request) = (client.user_id.parse().expect("a user id"), id.parse().expect("a request id"));
        let said = Said { approved, digest, by };
        let made = self.table.decide_approval(&self.functions.world, user, request, &said, "policy-tests").await;
        let made = made.expect("the table answers");
        if matches!(&made, DecisionMade::Took(took) if took.after.claimable(self.clock.now())) {
            self.ring(client, id).await;
        }
        made
    }

    /// A new request id, by the app's clock.
    pub fn new_id(&self) -> String {
        let millis = u64::try_from(self.clock.now().millis()).expect("after 1970");
        let mut random = [0; 10];
        random.copy_from_slice(&Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).as_bytes()[6..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }

    /// Moves the clock. Messages that become due then are on the queue; after a visibility timeout, so are undone ones.
    pub async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        if let Some(gateway) = &self.gateway {
            gateway.shift_clock(self.clock.ahead_ms()).await;
        }
        for body in self.delays.due() {
            self.put_on_queue(&body).await;
        }
        if by >= AFTER_A_CRASH {
            for handle in std::mem::take(&mut self.undone) {
                let again = self.aws.sqs().change_message_visibility().queue_url(&self.deployment.backend.queue_url);
                again.receipt_handle(handle).visibility_timeout(0).send().await.expect("the queue answers");
            }
        }
    }

    /// Puts a message on the queue, whatever it says.
    pub async fn put_on_queue(&self, body: &str) {
        let send = self.aws.sqs().send_message().queue_url(&self.deployment.backend.queue_url).message_body(body);
        send.send().await.expect("the queue answers");
    }

    /// Rings for a job once more: a duplicate.
    pub async fn ring(&self, client: &Client, id: &str) {
        self.put_on_queue(&json!({ "user_id": client.user_id, "request_id": id }).to_string()).await;
    }

    /// Messages that are on the queue now.
    pub async fn receive(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let receive = self.aws.sqs().receive_message().queue_url(&self.deployment.backend.queue_url);
            let got = receive.max_number_of_messages(10).wait_time_seconds(0).send().await.expect("the queue answers");
            match got.messages {
                Some(more) if !more.is_empty() => messages.extend(more),
                _ => return messages,
            }
        }
    }

    /// What Lambda does: hands what is on the queue to the worker, deletes what it decided. True unless there was nothing.
    /// When a fault kills the worker, its messages stay until their visibility timeout.
    pub async fn deliver(&mut self) -> bool {
        let messages = self.receive().await;
        let some = !messages.is_empty();
        self.hand_over(&messages).await;
        some
    }

    /// Hands messages to the worker in one batch.
    pub async fn hand_over(&mut self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let deadline = self.clock.now().plus(Duration::from_secs(30));
        let worker = self.worker.clone();
        let done = tokio::select! {
            done = worker.handle_batch(poller::event(messages), deadline) => Some(done),
            () = self.faults.killed() => None,
        };
        let failed = |message: &Message| match &done {
            None => true,
            Some(done) => {
                done.batch_item_failures.iter().any(|f| Some(&f.item_identifier) == message.message_id.as_ref())
            }
        };
        for message in messages {
            let handle = message.receipt_handle.clone().unwrap_or_default();
            if failed(message) {
                self.undone.push(handle);
            } else {
                let delete = self.aws.sqs().delete_message().queue_url(&self.deployment.backend.queue_url);
                delete.receipt_handle(handle).send().await.expect("the queue answers");
            }
        }
    }

    /// One run of the sweeper.
    pub async fn sweep(&mut self) -> sweep::SweepReport {
        let deadline = self.clock.now().plus(Duration::from_secs(30));
        tokio::select! {
            report = self.sweep.run(deadline) => report.unwrap_or_default(),
            () = self.faults.killed() => sweep::SweepReport::default(),
        }
    }

    /// Delivers, and lets time pass, until the job is over; then returns it.
    pub async fn finish(&mut self, client: &Client, id: &str) -> Value {
        for round in 0..200 {
            while self.deliver().await {}
            let job = client.job(id).await;
            if job["next_poll_ms"].is_null() && job["status"].is_string() {
                return job;
            }
            let step = self.delays.next().unwrap_or(AFTER_A_CRASH).max(Duration::from_millis(10));
            self.advance(if round % 4 == 3 { step.max(AFTER_A_CRASH) } else { step }).await;
            if round % 4 == 3 {
                self.sweep().await;
            }
        }
        panic!("the job does not end: {}", client.job(id).await);
    }

    /// Delivers as messages become due, by the real clock, until the job is over; then returns it.
    pub async fn finish_in_real_time(&mut self, client: &Client, id: &str, patience: Duration) -> Value {
        let began = std::time::Instant::now();
        loop {
            self.advance(Duration::ZERO).await;
            while self.deliver().await {}
            let job = client.job(id).await;
            if job["next_poll_ms"].is_null() && job["status"].is_string() {
                return job;
            }
            assert!(began.elapsed() < patience, "the job does not end: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Submits, and brings the job to its end.
    pub async fn run(&mut self, client: &Client, tool: &str, arguments: Value) -> Value {
        let id = self.new_id();
        let reply = client.submit(&id, tool, arguments).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        self.finish(client, &id).await
    }

    /// Lines in the ledger that a job's calls have written.
    pub fn effects(&self, id: &str) -> usize {
        let ledger = self.gateway.as_ref().expect("this app has a mini gateway").ledger();
        effects_in(&ledger, id)
    }

    /// Waits until a tool has left its first line.
    pub async fn begun(&self, id: &str) {
        let patience = std::time::Instant::now();
        while self.effects(id) == 0 {
            assert!(patience.elapsed().as_secs() < 10, "the tool does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The stored job, seen from inside: only for what no client may see.
    pub async fn stored(&self, client: &Client, id: &str) -> shared::job::Job {
        let user = client.user_id.parse().expect("a user id");
        let id: RequestId = id.parse().expect("a request id");
        match self.table.job(user, id).await.expect("the table answers") {
            Some(Stored::Job(job)) => *job,
            other => panic!("no job: {other:?}"),
        }
    }

    /// Whether an intent of the job names a journal.
    pub async fn journaled(&self, client: &Client, id: &str) -> bool {
        let job = self.stored(client, id).await;
        job.steps.iter().any(|step| matches!(&step.intent, Some(intent) if matches!(intent.via, Via::Journal(_))))
    }

    /// Stops what runs beside it.
    pub async fn stop(self) {
        self.wechat.stop().await;
        let _best_effort = std::fs::remove_dir_all(&self.dir);
    }
}

fn operator(deployment: &Deployment, world: &World, history: History) -> Operator {
    deployment.operator_key().keep(world).expect("the directory is writable");
    Operator::remembering(deployment.operator(), world.clone(), history).expect("operator starts")
}

fn reason() -> Reason {
    Reason::parse("a test").expect("a reason")
}

fn policy() -> Policy {
    Policy::built_in().expect("the policy is whole")
}

/// Another engine than the embedded ones, emptied: the one at `SECOND_ENGINE_URL`, where `make test` runs the same flows a
/// second time, one by one.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
async fn second_engine() -> Option<AwsSettings> {
    let url = std::env::var("SECOND_ENGINE_URL").ok()?;
    let reset = reqwest::Client::new().post(format!("{url}/_ministack/reset")).send().await;
    reset.expect("the second engine answers").error_for_status().expect("it takes a reset");
    let mut settings = AwsSettings::loopback(&url, &url);
    settings.http_client = Some(aws_smithy_http_client::Builder::new().build_http());
    Some(settings)
}

/// Lines of a ledger that a job's calls have written.
pub fn effects_in(ledger: &[Value], id: &str) -> usize {
    ledger.iter().filter(|line| line["toolCallId"].as_str().is_some_and(|call| call.contains(id))).count()
}
