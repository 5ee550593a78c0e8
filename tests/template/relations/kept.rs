//! What is kept, for how long, and encrypted.

use std::collections::BTreeSet;

use domain::{
    alarms::{Alarm, AlarmTable, Shape},
    ids::RequestId,
};
use serde_json::{Value, json};

use super::{hold, seconds};
use crate::document::{FUNCTIONS, Template};

pub(super) fn records_outlive_the_window_of_ids(t: &Template) -> Result<(), String> {
    let least = t.at("/Parameters/RetentionDays/MinValue").as_f64();
    let days = least.ok_or_else(|| "RetentionDays has no MinValue".to_owned())?;
    hold(days * 86_400.0 > RequestId::OLDEST.as_secs_f64(), || {
        format!("RetentionDays may be {days}: an id that is still taken could be one whose job has gone")
    })
}

pub(super) fn dead_letters_are_kept_longest(t: &Template) -> Result<(), String> {
    let alive = seconds(t, "Queue", "MessageRetentionPeriod")?;
    let dead = seconds(t, "DeadLetterQueue", "MessageRetentionPeriod")?;
    // SQS counts from when a message was first sent.
    hold(dead > alive, || {
        format!("MessageRetentionPeriod of DeadLetterQueue is {dead} s, not over that of Queue, {alive} s")
    })
}

pub(super) fn a_checkpoint_is_younger_than_what_is_asked_of_it(t: &Template) -> Result<(), String> {
    let (_, every) = t.range("Sweep", "Environment/Variables/CHECKPOINT_EVERY_S")?;
    for function in ["EdgeAuth", "Worker", "Status", "Operator"] {
        let (age, _) = t.range(function, "Environment/Variables/CHECKPOINT_MAX_AGE_S")?;
        // Two may fail, or come late with their sweep.
        hold(age >= 3.0 * every, || {
            format!(
                "CHECKPOINT_MAX_AGE_S of {function} may be {age}, less than three times CHECKPOINT_EVERY_S, {every}"
            )
        })?;
    }
    let table = AlarmTable::built_in().map_err(|fault| fault.to_string())?;
    let late = table.alarms().iter().find(|alarm| alarm.name() == "checkpoints-late").map(Alarm::shape);
    let Some(Shape::Threshold { limit, .. }) = late else { return Err("there is no alarm checkpoints-late".into()) };
    hold(limit.value() >= 3.0 * every, || {
        format!("checkpoints-late fires after {} s, CHECKPOINT_EVERY_S may be {every}", limit.value())
    })
}

pub(super) fn no_role_may_change_an_exported_checkpoint(t: &Template) -> Result<(), String> {
    let bucket = |path: &str| t.property("CheckpointBucket", path);
    hold(bucket("ObjectLockEnabled") == &json!(true), || "ObjectLockEnabled of CheckpointBucket is not on".to_owned())?;
    let rule = bucket("ObjectLockConfiguration/Rule/DefaultRetention");
    hold(rule["Days"]["Ref"] == "CheckpointRetentionDays", || format!("DefaultRetention is {rule}"))?;
    let lock = t.at("/Mappings/Stages/prod/CheckpointLock");
    hold(lock == "COMPLIANCE", || format!("CheckpointLock in prod is {lock}: a right could open it"))?;
    hold(bucket("VersioningConfiguration/Status") == "Enabled", || {
        "VersioningConfiguration of CheckpointBucket is not enabled".to_owned()
    })?;
    for switch in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        let on = bucket(&format!("PublicAccessBlockConfiguration/{switch}"));
        hold(on == &json!(true), || format!("{switch} of CheckpointBucket is {on}"))?;
    }
    let statement = &t.property("CheckpointBucketPolicy", "PolicyDocument/Statement")[0];
    hold(statement["Condition"]["Bool"]["aws:SecureTransport"] == "false" && statement["Effect"] == "Deny", || {
        "CheckpointBucketPolicy lets plain HTTP in".to_owned()
    })
}

pub(super) fn table_secrets_and_checkpoints_are_kept(t: &Template) -> Result<(), String> {
    for name in ["Table", "EdgeAuthSecret", "StatusSecret", "WorkerSecret", "SweepSecret", "CheckpointBucket"] {
        // Of a first deployment that fails nothing stays that the next one would find in its way.
        for (policy, wanted) in [("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain")] {
            let kept = t.at(&format!("/Resources/{name}/{policy}"));
            hold(kept == wanted, || format!("{policy} of {name} is {kept}, not {wanted}"))?;
        }
    }
    let protected = t.at("/Mappings/Stages/prod/DeletionProtection");
    hold(protected == &json!(true), || format!("DeletionProtection in prod is {protected}"))?;
    let recovery = t.property("Table", "PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled");
    hold(recovery == &json!(true), || format!("PointInTimeRecoveryEnabled of Table is {recovery}"))
}

pub(super) fn table_and_queues_are_encrypted(t: &Template) -> Result<(), String> {
    let places = [
        ("Table", "SSESpecification/SSEEnabled"),
        ("Queue", "SqsManagedSseEnabled"),
        ("DeadLetterQueue", "SqsManagedSseEnabled"),
    ];
    for (resource, path) in places {
        hold(t.property(resource, path) == &json!(true), || format!("{path} of {resource} is not on"))?;
    }
    Ok(())
}

pub(super) fn the_access_log_holds_nothing_personal(t: &Template) -> Result<(), String> {
    let format = t.property("ApiStage", "AccessLogSettings/Format").as_str().unwrap_or_default();
    let fields: Value = serde_json::from_str(format).map_err(|_| "Format of the access log is not JSON".to_owned())?;
    let known: BTreeSet<&str> =
        ["requestId", "routeKey", "status", "responseLatency", "integrationErrorMessage"].into();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let variable = value.as_str().and_then(|text| text.strip_prefix("$context.")).unwrap_or_default();
        hold(known.contains(variable), || {
            format!("the field {name} of the access log is {value}: it may be personal")
        })?;
    }
    hold(fields["routeKey"].is_string() && fields["status"].is_string(), || {
        "the access log names no routeKey".to_owned()
    })
}

pub(super) fn logs_are_not_kept_for_ever(t: &Template) -> Result<(), String> {
    for (name, log) in t.of_type("AWS::Logs::LogGroup") {
        let days = &log["Properties"]["RetentionInDays"];
        hold(days["Ref"] == "LogRetentionDays", || format!("RetentionInDays of {name} is {days}"))?;
    }
    for function in FUNCTIONS {
        let group = t.property(function, "LoggingConfig/LogGroup");
        hold(group["Ref"] == format!("{function}Log"), || format!("LogGroup of {function} is {group}"))?;
    }
    Ok(())
}
