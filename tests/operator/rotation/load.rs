//! The load: logins, reads, submissions and jobs, on every instance.

use std::time::Duration;

use domain::ids::Timestamp;
use integration_tests::{Client, Reply};
use local::emulation::api_gateway::Functions;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::fleet::{Fleet, INSTANCES};

const NAMES: [&str; 3] = ["ann", "bob", "cem"];
/// As long as docs/operate/rotation.md says that a cursor is good.
const CURSOR: Duration = Duration::from_secs(24 * 3600);

pub(super) struct HeldSession {
    pub(super) name: String,
    pub(super) token: String,
    pub(super) user_id: String,
    pub(super) ends_at: Timestamp,
}

pub(super) struct HeldCursor {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) given_at: Timestamp,
}

impl Fleet {
    /// Lets time pass under load. Returns the failures.
    pub(super) async fn pass(&mut self, time: Duration, step: Duration) -> Vec<String> {
        let until = self.now().plus(time);
        let mut faults = Vec::new();
        while self.now() < until {
            self.app.advance(step.min(until.since(self.now()).max(Duration::from_millis(1)))).await;
            faults.extend(self.load().await);
        }
        faults
    }

    /// One round of load on every instance. Returns the failures.
    pub(super) async fn load(&mut self) -> Vec<String> {
        self.tick += 1;
        // A known user and a new user, each at all instances at once.
        let names = [NAMES[self.tick % NAMES.len()].to_owned(), format!("newcomer-{}", self.tick)];
        let mut faults = self.log_in_everywhere(&names).await;
        let now = self.now();
        self.sessions.retain(|session| session.ends_at > now);
        self.cursors.retain(|cursor| now.since(cursor.given_at) < CURSOR);
        faults.extend(self.read_everywhere().await);
        faults.extend(self.submit_everywhere().await);
        faults.extend(self.run_jobs().await);
        faults.extend(Box::pin(self.sweep_everywhere()).await);
        faults.into_iter().map(|fault| format!("round {}: {fault}", self.tick)).collect()
    }

    fn client(&self, edge: usize, status: usize, session: Option<&HeldSession>) -> Client {
        let functions = Functions {
            console: None,
            edge_auth: self.edges[edge].clone(),
            status: self.statuses[status].clone(),
            operator: self.app.functions.operator.clone(),
            runtime: self.runtime.clone(),
            disk: self.app.functions.disk.clone(),
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
                faults.push(format!("{name} has another user id at edge-auth {edge}"));
            }
            let ends_at = Timestamp::parse(&reply.body["expires_at"]).unwrap();
            self.sessions.push(HeldSession { name, token: text("token"), user_id, ends_at });
        }
        faults
    }

    /// The oldest and the newest sessions and cursors, at every instance of status.
    async fn read_everywhere(&mut self) -> Vec<String> {
        let mut reads = JoinSet::new();
        for session in ends(&self.sessions, 3) {
            for status in 0..INSTANCES {
                let (client, name) = (self.client(0, status, Some(session)), session.name.clone());
                reads.spawn(async move { (status, name, "session", client.get("/v1/jobs?limit=1").await) });
            }
        }
        for cursor in ends(&self.cursors, 3) {
            let Some(session) = self.sessions.iter().rev().find(|session| session.name == cursor.name) else {
                continue;
            };
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
            let session =
                if (self.tick + edge).is_multiple_of(2) { self.sessions.first() } else { self.sessions.last() };
            if let Some(session) = session {
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

    /// Every instance of `sweep` at once: one of them signs.
    async fn sweep_everywhere(&self) -> Vec<String> {
        let deadline = self.now().plus(Duration::from_secs(30));
        let [one, two, three] = &self.sweeps[..] else { panic!("{INSTANCES} sweepers") };
        // Boxed: three of them, in a debug build, are more than a test's stack takes.
        let runs =
            tokio::join!(Box::pin(one.run(deadline)), Box::pin(two.run(deadline)), Box::pin(three.run(deadline)));
        <[_; INSTANCES]>::from(runs)
            .into_iter()
            .filter_map(Result::err)
            .map(|error| format!("a sweep: {error}"))
            .collect()
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
