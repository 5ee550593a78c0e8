//! Numbers and promises that have to fit each other. Each relation is a function of the template; a table of changes
//! shows that every one of them can fail, with a sentence that names what is wrong.

mod changes;

use std::collections::BTreeSet;

use domain::{ids::RequestId, policy::Policy};
use platform::{aws::OPERATION_TIMEOUT, wechat};
use serde_json::{Value, json};

use crate::document::{FUNCTIONS, Template};

type Relation = (&'static str, fn(&Template) -> Result<(), String>);

/// Calls that one gateway takes in a second.
const GATEWAY_CALLS_PER_S: f64 = 50.0;
/// HTTP APIs wait no longer for a function.
const API_LIMIT_MS: f64 = 30_000.0;

const RELATIONS: &[Relation] = &[
    ("visibility", visibility_outlasts_the_worker),
    ("worker time", worker_calls_end_before_the_worker),
    ("api time", the_api_waits_for_its_functions),
    ("edge time", edge_auth_has_time_for_its_longest_path),
    ("status time", status_has_time_for_its_longest_poll),
    ("sweep time", a_sweep_ends_before_the_next),
    ("receives", a_message_outlives_the_attempts_of_its_job),
    ("retention", records_outlive_the_window_of_ids),
    ("dead letters", dead_letters_are_kept_longest),
    ("gateway load", the_gateway_takes_what_workers_send),
    ("recursion", the_workers_chain_is_not_cut_after_16_hops),
    ("batch", a_batch_fills_the_worker_and_reports_failures),
    ("throttling", routes_that_cost_more_take_fewer),
    ("lock out", one_client_does_not_use_up_what_a_route_takes),
    ("vpc", only_functions_that_call_the_gateway_are_in_the_subnets),
    ("regions", names_of_the_account_hold_the_region),
    ("kept", table_secrets_and_checkpoints_are_kept),
    ("encrypted", table_and_queues_are_encrypted),
    ("checkpoints", a_checkpoint_is_younger_than_what_is_asked_of_it),
    ("locked", no_role_may_change_an_exported_checkpoint),
    ("no alarm acts", no_alarm_acts_on_the_service),
    ("alias", every_caller_of_a_function_calls_its_alias),
    ("access log", the_access_log_holds_nothing_personal),
    ("logs end", logs_are_not_kept_for_ever),
];

fn hold(true_so: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if true_so { Ok(()) } else { Err(sentence()) }
}

fn seconds(template: &Template, resource: &str, path: &str) -> Result<f64, String> {
    template.range(resource, path).map(|(least, _)| least)
}

fn visibility_outlasts_the_worker(t: &Template) -> Result<(), String> {
    let (visibility, timeout) = (seconds(t, "Queue", "VisibilityTimeout")?, seconds(t, "Worker", "Timeout")?);
    hold(visibility >= 6.0 * timeout, || {
        format!("VisibilityTimeout of Queue is {visibility} s, less than six times Timeout of Worker, {timeout} s")
    })?;
    // Invariant 5, lease outlives work: the lease ends that long after the deadline, and a message that comes back
    // after a crash finds it over.
    let margin = worker::LEASE_MARGIN.as_secs_f64();
    hold(margin > 0.0, || "LEASE_MARGIN of the worker is nothing: its lease ends with its Timeout".to_owned())?;
    hold(visibility > timeout + margin, || {
        format!("VisibilityTimeout of Queue is {visibility} s: a message would come back before the lease is over")
    })
}

fn worker_calls_end_before_the_worker(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Worker", "Timeout")?;
    let http = worker::WAIT_AT_MOST + worker::AT_ONCE + worker::STOP_BEFORE;
    hold(http <= worker::LEAST_TIME, || "LEAST_TIME of the worker is less than a call and its repetition".to_owned())?;
    let least = worker::LEAST_TIME.as_secs_f64();
    hold(timeout >= 2.0 * least, || {
        format!("Timeout of Worker is {timeout} s: after {least} s, LEAST_TIME, it would begin nothing more")
    })
}

fn the_api_waits_for_its_functions(t: &Template) -> Result<(), String> {
    for function in ["EdgeAuth", "Status", "Operator"] {
        let integration = format!("{function}Integration");
        let (timeout, patience) = (seconds(t, function, "Timeout")?, seconds(t, &integration, "TimeoutInMillis")?);
        hold(timeout * 1000.0 < patience && patience <= API_LIMIT_MS, || {
            format!(
                "TimeoutInMillis of {integration} is {patience}; it must be over Timeout of {function}, {timeout} s, and at \
                 most {API_LIMIT_MS}"
            )
        })?;
    }
    Ok(())
}

fn edge_auth_has_time_for_its_longest_path(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "EdgeAuth", "Timeout")?;
    // A submission: session, job, user, payload, job, wake-up message. A login: address, WeChat, login, user, user.
    let longest = (6 * OPERATION_TIMEOUT).max(4 * OPERATION_TIMEOUT + wechat::TOTAL_TIMEOUT).as_secs_f64();
    hold(timeout > longest, || format!("Timeout of EdgeAuth is {timeout} s; its longest path takes up to {longest} s"))
}

fn status_has_time_for_its_longest_poll(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Status", "Timeout")?;
    let (_, poll) = t.range("Status", "Environment/Variables/LONG_POLL_MAX_S")?;
    // Session, job, the poll with a last read, result.
    let longest = poll + (4 * OPERATION_TIMEOUT).as_secs_f64();
    hold(timeout > longest, || {
        format!("LONG_POLL_MAX_S may be {poll} s; Timeout of Status, {timeout} s, has no room for it")
    })
}

fn a_sweep_ends_before_the_next(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Sweep", "Timeout")?;
    let schedule = t.property("Sweep", "Events/EveryMinute/Properties/Schedule");
    hold(schedule == "rate(1 minute)" && timeout < 60.0, || {
        format!("Timeout of Sweep is {timeout} s, its Schedule {schedule}: a run has to end before the next one begins")
    })
}

fn a_message_outlives_the_attempts_of_its_job(t: &Template) -> Result<(), String> {
    let receives = seconds(t, "Queue", "RedrivePolicy/maxReceiveCount")?;
    let policy = Policy::built_in().map_err(|fault| fault.to_string())?;
    for tool in policy.catalogue().tools() {
        let (name, attempts) = (&tool.entry.name, tool.entry.attempts);
        hold(receives > f64::from(attempts), || {
            format!("maxReceiveCount of Queue is {receives}, not over the {attempts} attempts of the tool {name}")
        })?;
    }
    Ok(())
}

fn records_outlive_the_window_of_ids(t: &Template) -> Result<(), String> {
    let least = t.at("/Parameters/RetentionDays/MinValue").as_f64();
    let days = least.ok_or_else(|| "RetentionDays has no MinValue".to_owned())?;
    hold(days * 86_400.0 > RequestId::OLDEST.as_secs_f64(), || {
        format!("RetentionDays may be {days}: an id that is still taken could be one whose job has gone")
    })
}

fn dead_letters_are_kept_longest(t: &Template) -> Result<(), String> {
    let alive = seconds(t, "Queue", "MessageRetentionPeriod")?;
    let dead = seconds(t, "DeadLetterQueue", "MessageRetentionPeriod")?;
    // SQS counts from when a message was first sent.
    hold(dead > alive, || {
        format!("MessageRetentionPeriod of DeadLetterQueue is {dead} s, not over that of Queue, {alive} s")
    })
}

fn the_gateway_takes_what_workers_send(t: &Template) -> Result<(), String> {
    let (_, workers) = t.range("Worker", "Events/Jobs/Properties/ScalingConfig/MaximumConcurrency")?;
    let (_, each) = t.range("Worker", "Environment/Variables/WORKER_CONCURRENCY")?;
    let wait = workers * each / GATEWAY_CALLS_PER_S;
    let most = worker::WAIT_AT_MOST.as_secs_f64();
    hold(wait < most, || {
        format!(
            "MaximumConcurrency {workers} times WORKER_CONCURRENCY {each} calls at once keep one gateway busy for {wait} s; a \
             short call is waited for {most} s"
        )
    })
}

/// Lambda stops a function that sends to the queue which it consumes after 16 invocations in a chain, where it detects
/// that: not in China.
fn the_workers_chain_is_not_cut_after_16_hops(t: &Template) -> Result<(), String> {
    let consumed = t.property("Worker", "Events/Jobs/Properties/Queue");
    let sends_to = t.property("Worker", "Environment/Variables/QUEUE_URL");
    if consumed["Fn::GetAtt"][0] != sends_to["Ref"] {
        return Ok(());
    }
    let (given, china) = (t.property("Worker", "RecursiveLoop"), t.at("/Conditions/InChina"));
    let wanted = json!({"Fn::If": ["InChina", {"Ref": "AWS::NoValue"}, "Allow"]});
    let in_china = json!({"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws-cn"]});
    hold(given == &wanted && china == &in_china, || {
        format!("RecursiveLoop of Worker is {given}, InChina {china}: it consumes the queue that it sends to")
    })
}

fn a_batch_fills_the_worker_and_reports_failures(t: &Template) -> Result<(), String> {
    let source = |path: &str| format!("Events/Jobs/Properties/{path}");
    let (batch, _) = t.range("Worker", &source("BatchSize"))?;
    let (_, each) = t.range("Worker", "Environment/Variables/WORKER_CONCURRENCY")?;
    hold(each <= batch && batch <= 10.0, || format!("BatchSize is {batch}; WORKER_CONCURRENCY may be {each}"))?;
    let response = t.property("Worker", &source("FunctionResponseTypes"));
    hold(response == &json!(["ReportBatchItemFailures"]), || {
        format!("FunctionResponseTypes is {response}: one message that fails would bring back its whole batch")
    })
}

fn routes_that_cost_more_take_fewer(t: &Template) -> Result<(), String> {
    let default = |value: &Value| {
        let parameter = value["Ref"].as_str().map(|name| t.at(&format!("/Parameters/{name}/Default")));
        parameter.unwrap_or(value).as_f64().unwrap_or(f64::INFINITY)
    };
    let all = default(t.property("ApiStage", "DefaultRouteSettings/ThrottlingRateLimit"));
    let routes =
        t.of_type("AWS::ApiGatewayV2::Route").filter_map(|(_, route)| route["Properties"]["RouteKey"].as_str());
    let costs_more = ["POST /v1/sessions", "POST /v1/jobs", "$default"];
    let fewer =
        routes.filter(|key| costs_more.contains(key) || key.starts_with("ANY ") || key.contains("/v1/operator/"));
    for route in fewer {
        let settings = &t.property("ApiStage", "RouteSettings")[route];
        for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            let rate = default(&settings[limit]);
            hold(rate < all, || format!("{limit} of {route} is {rate}, not below the {all} of every other route"))?;
        }
    }
    Ok(())
}

/// A route's limit is one for all clients together, so it must be far over what the limits of one user and one address
/// let through; those are the functions' own.
fn one_client_does_not_use_up_what_a_route_takes(t: &Template) -> Result<(), String> {
    let default = |name: &str| t.at(&format!("/Parameters/{name}/Default")).as_f64().unwrap_or(0.0);
    for (rate, interval_ms, burst) in
        [("LoginRate", "LoginIntervalMs", "LoginBurst"), ("SubmitRate", "SubmitIntervalMs", "SubmitBurst")]
    {
        let (taken, one) = (default(rate), default(burst).max(1000.0 / default(interval_ms)));
        hold(taken >= 3.0 * one, || {
            format!("{rate} is {taken}, less than three times the {one} that one client may send at once ({burst})")
        })?;
    }
    let strangers = default("OperatorRate");
    hold(strangers >= 100.0, || format!("OperatorRate is {strangers}: a stranger without a token keeps operators out"))
}

fn only_functions_that_call_the_gateway_are_in_the_subnets(t: &Template) -> Result<(), String> {
    let everywhere = t.at("/Globals/Function/VpcConfig");
    hold(everywhere.is_null(), || format!("VpcConfig of all functions is {everywhere}"))?;
    for function in FUNCTIONS {
        let calls = t.property(function, "Environment/Variables/OPENCLAW_BASE_URL").is_object();
        let inside = t.property(function, "VpcConfig");
        let role = t.at(&format!("/Resources/{function}Role")).to_string();
        let may = role.contains("ec2:CreateNetworkInterface");
        hold((inside["Fn::If"][0] == "InVpc") == calls && may == calls, || {
            format!("VpcConfig of {function} is {inside}; it calls the gateway: {calls}; it may be in a subnet: {may}")
        })?;
    }
    Ok(())
}

/// Dashboards and CloudFront's names are one set for all regions of an account.
fn names_of_the_account_hold_the_region(t: &Template) -> Result<(), String> {
    let dashboards =
        t.of_type("AWS::CloudWatch::Dashboard").map(|(name, one)| (name, &one["Properties"]["DashboardName"]));
    for (resource, name) in dashboards {
        let text = name["Fn::Sub"].as_str().unwrap_or_default();
        hold(text.contains("${AWS::Region}"), || format!("DashboardName of {resource} is {name}, without the region"))?;
    }
    Ok(())
}

fn a_checkpoint_is_younger_than_what_is_asked_of_it(t: &Template) -> Result<(), String> {
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
    let alarm = seconds(t, "CheckpointsLateAlarm", "Threshold")?;
    hold(alarm >= 3.0 * every, || {
        format!("Threshold of CheckpointsLateAlarm is {alarm} s, less than three checkpoints")
    })
}

fn no_role_may_change_an_exported_checkpoint(t: &Template) -> Result<(), String> {
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

fn no_alarm_acts_on_the_service(t: &Template) -> Result<(), String> {
    let events = t.property("Sweep", "Events").as_object().into_iter().flatten();
    for (name, event) in events {
        hold(event["Type"] == "Schedule", || {
            format!("{name} invokes Sweep, and is no schedule: what monitors the service must not change its mode")
        })?;
    }
    for (name, alarm) in t.of_type("AWS::CloudWatch::Alarm") {
        for kind in ["AlarmActions", "OKActions", "InsufficientDataActions"] {
            let actions = alarm["Properties"][kind].as_array().into_iter().flatten();
            for action in actions {
                hold(action["Ref"] == "AlarmTopic", || format!("{kind} of {name} has {action}, not only AlarmTopic"))?;
            }
        }
    }
    let subscribed = t.of_type("AWS::SNS::Subscription").find(|(_, one)| one["Properties"]["Protocol"] != "email");
    subscribed.map_or(Ok(()), |(name, _)| Err(format!("{name} gets alarms, and is no person")))
}

fn table_secrets_and_checkpoints_are_kept(t: &Template) -> Result<(), String> {
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

fn table_and_queues_are_encrypted(t: &Template) -> Result<(), String> {
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

fn every_caller_of_a_function_calls_its_alias(t: &Template) -> Result<(), String> {
    for (kind, path) in
        [("AWS::ApiGatewayV2::Integration", "IntegrationUri"), ("AWS::Lambda::Permission", "FunctionName")]
    {
        for (name, one) in t.of_type(kind) {
            let target = one["Properties"][path]["Ref"].as_str().unwrap_or_default();
            hold(FUNCTIONS.iter().any(|function| target == format!("{function}.Alias")), || {
                format!("{path} of {name} does not name an alias, so a rollback would not reach it")
            })?;
        }
    }
    let alias = t.at("/Globals/Function/AutoPublishAlias");
    hold(alias == "live", || format!("AutoPublishAlias is {alias}; events, alarms and documents say live"))
}

fn the_access_log_holds_nothing_personal(t: &Template) -> Result<(), String> {
    let format = t.property("ApiStage", "AccessLogSettings/Format").as_str().unwrap_or_default();
    let fields: Value = serde_json::from_str(format).map_err(|_| "Format of the access log is not JSON".to_owned())?;
    let known: BTreeSet<&str> = [
        "requestId",
        "requestTimeEpoch",
        "routeKey",
        "status",
        "responseLatency",
        "integrationLatency",
        "integrationStatus",
        "integrationErrorMessage",
        "responseLength",
    ]
    .into();
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

fn logs_are_not_kept_for_ever(t: &Template) -> Result<(), String> {
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

#[test]
fn the_numbers_of_the_template_fit_each_other_and_the_code() {
    let template = Template::read();
    let faults: Vec<String> = RELATIONS.iter().filter_map(|(_, relation)| relation(&template).err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_number_out_of_relation_stops_with_a_sentence_that_names_it() {
    let template = Template::read();
    let mut broken = BTreeSet::new();
    for (relation, pointer, value, named) in changes::changes() {
        let mut changed = template.clone();
        *changed.0.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in the template")) = value;
        let (_, check) = RELATIONS.iter().find(|(name, _)| *name == relation).expect("the relation is there");
        let sentence = check(&changed).expect_err(pointer);
        assert!(sentence.contains(named), "{pointer}: {sentence}");
        broken.insert(relation);
    }
    let all: BTreeSet<&str> = RELATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(broken, all, "each relation can fail");
}
