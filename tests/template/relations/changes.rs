//! Changes of the template that break a relation.

use serde_json::{Value, json};

/// Which relation breaks when this is put there, and which name its sentence must say.
pub(super) fn changes() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("visibility", "/Resources/Queue/Properties/VisibilityTimeout", json!(30), "VisibilityTimeout"),
        ("visibility", "/Resources/Worker/Properties/Timeout", json!(31), "Timeout of Worker"),
        ("worker time", "/Resources/Worker/Properties/Timeout", json!(12), "Timeout of Worker"),
        ("api time", "/Resources/EdgeAuthIntegration/Properties/TimeoutInMillis", json!(25_000), "TimeoutInMillis"),
        ("api time", "/Resources/StatusIntegration/Properties/TimeoutInMillis", json!(30_001), "StatusIntegration"),
        ("api time", "/Resources/Status/Properties/Timeout", json!(29), "Timeout of Status"),
        ("edge time", "/Resources/EdgeAuth/Properties/Timeout", json!(10), "Timeout of EdgeAuth"),
        ("status time", "/Parameters/LongPollMaxS/MaxValue", json!(20), "LONG_POLL_MAX_S"),
        ("sweep time", "/Resources/Sweep/Properties/Timeout", json!(60), "Timeout of Sweep"),
        ("receives", "/Resources/Queue/Properties/RedrivePolicy/maxReceiveCount", json!(5), "maxReceiveCount"),
        ("retention", "/Parameters/RetentionDays/MinValue", json!(1), "RetentionDays"),
        (
            "dead letters",
            "/Resources/DeadLetterQueue/Properties/MessageRetentionPeriod",
            json!(345_600),
            "DeadLetterQueue",
        ),
        ("gateway load", "/Parameters/MaximumConcurrency/MaxValue", json!(8), "MaximumConcurrency"),
        ("gateway load", "/Parameters/WorkerConcurrency/MaxValue", json!(11), "WORKER_CONCURRENCY"),
        ("batch", "/Resources/Worker/Properties/Events/Jobs/Properties/BatchSize", json!(5), "BatchSize"),
        ("recursion", "/Resources/Worker/Properties/RecursiveLoop", json!("Terminate"), "RecursiveLoop of Worker"),
        ("recursion", "/Conditions/InChina", json!({"Fn::Equals": [{"Ref": "AWS::Region"}, "cn-north-1"]}), "InChina"),
        (
            "batch",
            "/Resources/Worker/Properties/Events/Jobs/Properties/FunctionResponseTypes",
            json!([]),
            "FunctionResponseTypes",
        ),
        ("throttling", "/Parameters/LoginRate/Default", json!(500), "POST /v1/sessions"),
        ("throttling", "/Parameters/SubmitRate/Default", json!(200), "POST /v1/jobs"),
        ("kept", "/Resources/Table/DeletionPolicy", json!("Delete"), "DeletionPolicy of Table"),
        ("throttling", "/Parameters/OperatorRate/Default", json!(300), "/v1/operator/"),
        ("checkpoints", "/Parameters/CheckpointEveryS/MaxValue", json!(400), "CHECKPOINT_MAX_AGE_S"),
        ("checkpoints", "/Parameters/CheckpointMaxAgeS/MinValue", json!(300), "CHECKPOINT_MAX_AGE_S of EdgeAuth"),
        ("checkpoints", "/Resources/CheckpointsLateAlarm/Properties/Threshold", json!(600), "CheckpointsLateAlarm"),
        ("locked", "/Resources/CheckpointBucket/Properties/ObjectLockEnabled", json!(false), "ObjectLockEnabled"),
        ("locked", "/Mappings/Stages/prod/CheckpointLock", json!("GOVERNANCE"), "CheckpointLock"),
        (
            "locked",
            "/Resources/CheckpointBucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy",
            json!(false),
            "BlockPublicPolicy",
        ),
        (
            "alarm acts",
            "/Resources/Sweep/Properties/Events/Alarms/Properties/Topic",
            json!({"Ref": "AlarmTopic"}),
            "ModeTopic",
        ),
        (
            "alarm acts",
            "/Resources/Sweep/Properties/EventInvokeConfig/MaximumRetryAttempts",
            json!(0),
            "MaximumRetryAttempts of Sweep",
        ),
        ("api time", "/Resources/OperatorIntegration/Properties/TimeoutInMillis", json!(25_000), "OperatorIntegration"),
        ("kept", "/Resources/EdgeAuthSecret/UpdateReplacePolicy", json!("Delete"), "EdgeAuthSecret"),
        ("kept", "/Resources/CheckpointBucket/DeletionPolicy", json!("Delete"), "CheckpointBucket"),
        ("kept", "/Mappings/Stages/prod/DeletionProtection", json!(false), "DeletionProtection"),
        (
            "kept",
            "/Resources/Table/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled",
            json!(false),
            "PointInTimeRecoveryEnabled",
        ),
        (
            "encrypted",
            "/Resources/Queue/Properties/SqsManagedSseEnabled",
            json!(false),
            "SqsManagedSseEnabled of Queue",
        ),
        (
            "alias",
            "/Resources/StatusIntegration/Properties/IntegrationUri",
            json!({"Fn::GetAtt": ["Status", "Arn"]}),
            "StatusIntegration",
        ),
        (
            "access log",
            "/Resources/ApiStage/Properties/AccessLogSettings/Format",
            json!(r#"{"routeKey":"$context.routeKey","status":"$context.status","ip":"$context.identity.sourceIp"}"#),
            "the field ip",
        ),
        ("logs end", "/Resources/SweepLog/Properties/RetentionInDays", json!(null), "RetentionInDays of SweepLog"),
    ]
}
