//! Each function's configuration on one host: as structs, and as environment variables for functions that run
//! elsewhere.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{access::session::Audience, audit::checkpoint::MOST_ENDS};
use platform::{
    config::{
        CheckpointTarget, EdgeAuthConfig, OperatorConfig, QueueConfig, StatusConfig, SweepConfig, TableConfig,
        WorkerConfig,
    },
    jwks::JwksSource,
    secrets::SecretSource,
};
use store::Table;

use crate::{
    emulation::backend::Backend,
    host::{
        operators::{self, OperatorKey},
        settings::Settings,
    },
};

/// `iss` of sessions.
const ISSUER: &str = "openclaw-miniprogram";
/// `aud` of sessions.
const AUDIENCE: &str = "openclaw-miniprogram-local";

/// Settings that differ from start to start.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Table and queues.
    pub backend: Backend,
    /// The secrets document.
    pub secrets_file: PathBuf,
    /// The URL of WeChat's API, or of the stub.
    pub wechat_base_url: String,
    /// The Mini Program's app id.
    pub wechat_app_id: String,
    /// The gateway's URL.
    pub gateway_base_url: String,
    /// Limits, lifetimes and retention.
    pub settings: Settings,
}

impl Deployment {
    fn table(&self) -> TableConfig {
        TableConfig {
            aws: self.backend.aws.clone(),
            table: self.backend.table.clone(),
            retention: Duration::from_secs(self.settings.retention_days * 86_400),
        }
    }

    /// The table, for the work of this process itself.
    pub fn open_table(&self) -> Table {
        let TableConfig { aws, table, retention } = self.table();
        Table::new(aws.dynamodb(), table, retention)
    }

    /// The directory of exported checkpoints, next to the secrets document. To protect them from this host, the
    /// operator has to copy them elsewhere.
    pub fn checkpoints(&self) -> PathBuf {
        self.secrets_file.with_file_name("checkpoints")
    }

    fn queue(&self) -> QueueConfig {
        // The embedded queue refuses message groups on a standard queue.
        QueueConfig { url: self.backend.queue_url.clone(), fair: false }
    }

    fn audience() -> Audience {
        Audience { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() }
    }

    /// Configuration of edge-auth.
    pub fn edge_auth(&self) -> EdgeAuthConfig {
        EdgeAuthConfig {
            table: self.table(),
            queue: self.queue(),
            secrets: SecretSource::File(self.secrets_file.clone()),
            audience: Self::audience(),
            session_lifetime: self.settings.session_lifetime,
            wechat_base_url: self.wechat_base_url.clone(),
            wechat_app_id: self.wechat_app_id.clone(),
            limits: self.settings.limits,
            login_rate: self.settings.login_rate,
            checkpoint_max_age: self.settings.checkpoint_max_age,
        }
    }

    /// Configuration of status.
    pub fn status(&self) -> StatusConfig {
        StatusConfig {
            table: self.table(),
            secrets: SecretSource::File(self.secrets_file.clone()),
            audience: Self::audience(),
            long_poll_cap: self.settings.long_poll_cap,
            checkpoint_max_age: self.settings.checkpoint_max_age,
        }
    }

    /// Configuration of the worker.
    pub fn worker(&self) -> WorkerConfig {
        WorkerConfig {
            table: self.table(),
            queue: self.queue(),
            secrets: SecretSource::File(self.secrets_file.clone()),
            openclaw_base_url: self.gateway_base_url.clone(),
            unjournaled_writes: false,
            concurrency: self.settings.worker_concurrency,
            checkpoint_max_age: self.settings.checkpoint_max_age,
            wechat_base_url: self.wechat_base_url.clone(),
            wechat_app_id: self.wechat_app_id.clone(),
        }
    }

    /// Configuration of sweep.
    pub fn sweep(&self) -> SweepConfig {
        SweepConfig {
            table: self.table(),
            queue: self.queue(),
            openclaw_base_url: self.gateway_base_url.clone(),
            wakes_per_run: 3000,
            secrets: SecretSource::File(self.secrets_file.clone()),
            checkpoint_every: self.settings.checkpoint_every,
            ends_per_checkpoint: MOST_ENDS,
            checkpoints_to: CheckpointTarget::Directory(self.checkpoints()),
        }
    }

    /// Configuration of operator, with this host's own key set.
    pub fn operator(&self) -> OperatorConfig {
        OperatorConfig {
            table: self.table(),
            queue: self.queue(),
            dead_letter_queue_url: self.backend.dlq_url.clone(),
            audience: operators::audience(),
            jwks: JwksSource::File(self.operator_key().key_set()),
            checkpoint_max_age: self.settings.checkpoint_max_age,
            metrics_namespace: None,
        }
    }

    /// The key of this host's own operators, next to its secrets.
    pub fn operator_key(&self) -> OperatorKey {
        OperatorKey::within(self.secrets_file.parent().unwrap_or(Path::new(".")))
    }

    /// The environment of every function, for `cargo lambda watch`. Has the same content as the structs above.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let aws = &self.backend.aws;
        let mut variables = vec![
            ("AWS_REGION", aws.region.clone()),
            ("AWS_ACCESS_KEY_ID", aws.credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", aws.credentials.secret_access_key().to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", aws.dynamodb_endpoint.clone().unwrap_or_default()),
            ("AWS_ENDPOINT_URL_SQS", aws.sqs_endpoint.clone().unwrap_or_default()),
        ];
        variables.extend([
            ("TABLE_NAME", self.backend.table.clone()),
            ("RETENTION_DAYS", self.settings.retention_days.to_string()),
            ("QUEUE_URL", self.backend.queue_url.clone()),
            ("FAIR_QUEUE", "off".to_owned()),
            ("SECRETS_FILE", self.secrets_file.display().to_string()),
            ("SESSION_ISSUER", ISSUER.to_owned()),
            ("SESSION_AUDIENCE", AUDIENCE.to_owned()),
            ("WECHAT_BASE_URL", self.wechat_base_url.clone()),
            ("WECHAT_APP_ID", self.wechat_app_id.clone()),
            ("OPENCLAW_BASE_URL", self.gateway_base_url.clone()),
            ("CHECKPOINT_EVERY_S", self.settings.checkpoint_every.as_secs().to_string()),
            ("CHECKPOINT_DIR", self.checkpoints().display().to_string()),
            ("LONG_POLL_MAX_S", self.settings.long_poll_cap.as_secs().to_string()),
            ("DEAD_LETTER_QUEUE_URL", self.backend.dlq_url.clone()),
            ("OPERATOR_ISSUER", operators::ISSUER.to_owned()),
            ("OPERATOR_AUDIENCE", operators::AUDIENCE.to_owned()),
            ("OPERATOR_ROLES_CLAIM", operators::ROLES_CLAIM.to_owned()),
            ("OPERATOR_JWKS", self.operator_key().key_set().display().to_string()),
            ("CHECKPOINT_MAX_AGE_S", self.settings.checkpoint_max_age.as_secs().to_string()),
        ]);
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{aws::AwsSettings, config::Env};

    fn deployment() -> Deployment {
        Deployment {
            backend: Backend {
                aws: AwsSettings::loopback("http://127.0.0.1:8000", "http://127.0.0.1:9324"),
                table: "some-table-name".to_owned(),
                queue_url: "http://127.0.0.1:9324/000000000000/jobs".to_owned(),
                dlq_url: "http://127.0.0.1:9324/000000000000/jobs-dead".to_owned(),
            },
            secrets_file: "/x/secrets.json".into(),
            wechat_base_url: "http://127.0.0.1:9325".to_owned(),
            wechat_app_id: "wx".to_owned(),
            gateway_base_url: "http://127.0.0.1:18789".to_owned(),
            settings: Settings::default(),
        }
    }

    #[test]
    fn the_environment_says_what_the_structs_say() {
        let deployment = deployment();
        let variables = deployment.environment();
        let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let env = || Env::from_fn(lookup);
        // Credentials contain the name of their source, which is the only difference.
        let same = |text: String| text.replace("loopback", "environment");
        let edge = EdgeAuthConfig::from_env(&env()).unwrap();
        assert_eq!(format!("{edge:?}"), same(format!("{:?}", deployment.edge_auth())));
        let status = StatusConfig::from_env(&env()).unwrap();
        assert_eq!(format!("{status:?}"), same(format!("{:?}", deployment.status())));
        let worker = WorkerConfig::from_env(&env()).unwrap();
        assert_eq!(format!("{worker:?}"), same(format!("{:?}", deployment.worker())));
        let operator = OperatorConfig::from_env(&env()).unwrap();
        assert_eq!(format!("{operator:?}"), same(format!("{:?}", deployment.operator())));
        let sweep = SweepConfig::from_env(&env()).unwrap();
        assert_eq!(format!("{sweep:?}"), same(format!("{:?}", deployment.sweep())));
    }
}
