//! Users and operators: logins and approvals.

use domain::{
    ids::{Digest, OperatorId},
    job::approval::{ApprovalCheck, DecidedBy, DecisionInput},
    policy::Policy,
};
use local::emulation::wechat_stub::WechatStub;
use platform::{queue::Queue, runtime::Clock};
use serde_json::json;
use service::jobs::{Decided, Jobs};
use uuid::Uuid;

use super::App;
use crate::{Client, Reply};

impl App {
    /// A client without a session.
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

    /// A login code of the user that WeChat accepts once.
    pub fn fresh_code(&self, name: &str) -> String {
        format!("dev-{name}.{}", Uuid::now_v7().simple())
    }

    /// The WeChat stub.
    pub fn wechat(&self) -> &WechatStub {
        &self.wechat
    }

    /// How often WeChat was asked about a code.
    pub fn wechat_asked(&self) -> u64 {
        self.wechat.asked()
    }

    /// The user approves the call that the service shows for the job.
    pub async fn approve(&self, client: &Client, name: &str, id: &str) -> Reply {
        client.decide(id, "approve", &client.digest(id).await, Some(&self.fresh_code(name))).await
    }

    /// An operator approves or rejects the call that the service shows for the job.
    pub async fn operator_decides(&self, client: &Client, id: &str, approved: bool) -> Decided<ApprovalCheck> {
        let digest = Digest::try_from(client.digest(id).await).expect("the job asks");
        let by = DecidedBy::Operator(OperatorId::from_random(*Uuid::now_v7().as_bytes()));
        let (user, request) = (client.user_id.parse().expect("a user id"), id.parse().expect("a request id"));
        let said = DecisionInput { approved, digest, by };
        let queue = Queue::new(self.aws.sqs(), self.deployment.backend.queue_url.clone(), false);
        let (table, runtime) = (&self.table, &self.functions.runtime);
        let policy = &Policy::built_in().expect("the policies that are compiled in are valid");
        let jobs = Jobs { table, queue: &queue, runtime, policy, function: "tests" };
        let decision = jobs.decide_approval(user, request, &said).await.expect("the table answers");
        if let Decided::Made(job) = &decision {
            jobs.wake_if_due(job).await;
        }
        decision
    }

    /// A new request id, by the app's clock.
    pub fn new_id(&self) -> String {
        let millis = u64::try_from(self.clock.now().millis()).expect("after 1970");
        let mut random = [0; 10];
        random.copy_from_slice(&Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).as_bytes()[6..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }
}
