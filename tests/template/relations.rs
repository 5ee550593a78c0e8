//! Numbers and promises that have to fit each other. Each relation is a function of the template; a table of changes
//! shows that every one of them can fail, with a sentence that names what is wrong.

mod changes;

use std::collections::BTreeSet;

use domain::{
    alarms::{Alarm, AlarmTable, Shape},
    ids::RequestId,
    policy::Policy,
};
use platform::{aws::OPERATION_TIMEOUT, wechat};
use serde_json::{Value, json};

use crate::document::{FUNCTIONS, Template};

type Relation = (&'static str, fn(&Template) -> Result<(), String>);

/// Calls that one gateway takes in a second.
const GATEWAY_CALLS_PER_S: f64 = 50.0;
/// Timeout of an HTTP API for a function.
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
    ("shield", behind_the_shield_addresses_are_counted_by_waf_alone),
    ("status concurrency", held_polls_can_be_kept_from_the_other_functions),
    ("vpc", only_functions_that_call_the_gateway_are_in_the_subnets),
    ("observe level", the_functions_publish_what_the_alarms_of_the_level_read),
    ("kept", table_secrets_and_checkpoints_are_kept),
    ("encrypted", table_and_queues_are_encrypted),
    ("checkpoints", a_checkpoint_is_younger_than_what_is_asked_of_it),
    ("locked", no_role_may_change_an_exported_checkpoint),
    ("no alarm acts", no_alarm_acts_on_the_service),
    ("alias", every_caller_of_a_function_calls_its_alias),
    ("version check", every_new_version_is_invoked_before_it_gets_traffic),
    ("access log", the_access_log_holds_nothing_personal),
    ("logs end", logs_are_not_kept_for_ever),
];

/// Maximum length of the template in bytes: about ten minutes of reading.
const MOST_BYTES: usize = 60_000;

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
        [("LoginRate", "LoginIntervalMs", "LOGIN_BURST"), ("SubmitRate", "SubmitIntervalMs", "SUBMIT_BURST")]
    {
        let set = t.property("EdgeAuth", &format!("Environment/Variables/{burst}"));
        let set = set.pointer("/Fn::If/2").unwrap_or(set);
        let at_once = set.as_f64().or_else(|| set.as_str()?.parse().ok());
        let at_once = at_once.ok_or_else(|| format!("{burst} is {set}, no number"))?;
        let (taken, one) = (default(rate), at_once.max(1000.0 / default(interval_ms)));
        hold(taken >= 3.0 * one, || {
            format!("{rate} is {taken}, less than three times the {one} that one client may send at once ({burst})")
        })?;
    }
    let operators = &t.property("ApiStage", "RouteSettings")["ANY /v1/operator/{proxy+}"]["ThrottlingRateLimit"];
    hold(operators.as_f64().is_some_and(|rate| rate >= 100.0), || {
        format!("ThrottlingRateLimit of the operators is {operators}: a client without a token uses it up")
    })
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

fn the_functions_publish_what_the_alarms_of_the_level_read(t: &Template) -> Result<(), String> {
    let variables = t.at("/Globals/Function/Environment/Variables");
    let (published, read) = (&variables["METRICS_LEVEL"], t.property("Observation", "Parameters/Level"));
    hold(published == read && read["Fn::If"][1] == "full", || format!("METRICS_LEVEL is {published}, Level {read}"))?;
    let (namespace, prefix) = (&variables["METRICS_NAMESPACE"], t.property("Observation", "Parameters/Prefix"));
    let condition = t.at("/Resources/Observation/Condition");
    hold(&namespace["Fn::If"][0] == condition && &namespace["Fn::If"][1] == prefix, || {
        format!("METRICS_NAMESPACE is {namespace}; the alarms are there if {condition}, and read {prefix}")
    })
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
    let table = AlarmTable::built_in().map_err(|fault| fault.to_string())?;
    let late = table.alarms().iter().find(|alarm| alarm.name() == "checkpoints-late").map(Alarm::shape);
    let Some(Shape::Threshold { limit, .. }) = late else { return Err("there is no alarm checkpoints-late".into()) };
    hold(limit.value() >= 3.0 * every, || {
        format!("checkpoints-late fires after {} s, CHECKPOINT_EVERY_S may be {every}", limit.value())
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
    // Those of this template are for CodeDeploy alone; those of observe/template.yaml know no other target than their topic.
    for (name, alarm) in t.of_type("AWS::CloudWatch::Alarm") {
        for kind in ["AlarmActions", "OKActions", "InsufficientDataActions"] {
            hold(alarm["Properties"][kind].is_null(), || format!("{kind} of {name} are set"))?;
        }
    }
    let topic = t.property("Observation", "Parameters/AlarmTopic");
    hold(topic["Ref"] == "AlarmTopic", || format!("AlarmTopic of Observation is {topic}"))?;
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

fn every_new_version_is_invoked_before_it_gets_traffic(t: &Template) -> Result<(), String> {
    let hook = t.at("/Globals/Function/DeploymentPreference/Hooks/PreTraffic");
    hold(hook["Ref"] == "VersionCheck", || format!("PreTraffic is {hook}, not VersionCheck"))?;
    for function in FUNCTIONS {
        let own = t.property(function, "DeploymentPreference/Hooks");
        hold(own.is_null(), || format!("DeploymentPreference of {function} has hooks of its own: {own}"))?;
    }
    let of = |role: &str, sid: &str| {
        let statements = t.property(role, "Policies/0/PolicyDocument/Statement").as_array();
        statements.into_iter().flatten().find(|one| one["Sid"] == sid).unwrap_or(&Value::Null).clone()
    };
    let invokes = of("ShiftRole", "Check");
    let is_right = invokes["Action"] == "lambda:InvokeFunction"
        && invokes["Resource"]["Fn::GetAtt"] == json!(["VersionCheck", "Arn"]);
    hold(is_right, || format!("ShiftRole may not invoke VersionCheck: {invokes}"))?;
    let versions = of("VersionCheckRole", "Versions")["Resource"].to_string();
    for function in FUNCTIONS {
        let name = t.property(function, "FunctionName")["Fn::Sub"].as_str().unwrap_or_default();
        hold(versions.contains(&format!(":function:{name}:*")), || {
            format!("VersionCheckRole may not invoke the versions of {function}")
        })?;
    }
    let file = t.property("VersionCheck", "Handler").as_str().and_then(|handler| handler.strip_suffix(".handler"));
    let folder = t.property("VersionCheck", "Code").as_str().unwrap_or_default();
    let path =
        integration_tests::mini_gateway::checkout().join(folder).join(format!("{}.py", file.unwrap_or_default()));
    hold(path.is_file(), || format!("Handler of VersionCheck is not in {folder}"))
}

/// All clients then have CloudFront's addresses, so a limit for each address would be one for all of them.
fn behind_the_shield_addresses_are_counted_by_waf_alone(t: &Template) -> Result<(), String> {
    let route = t.at("/Parameters/LoginRate/Default").as_f64().unwrap_or_default();
    let of = |name: &str| t.property("EdgeAuth", &format!("Environment/Variables/{name}"))["Fn::If"].clone();
    let (interval, burst) = (of("LOGIN_INTERVAL_MS"), of("LOGIN_BURST"));
    let number = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let open = number(&interval[1]).is_some_and(|ms| 1000.0 / ms >= route)
        && number(&burst[1]).is_some_and(|count| count >= route)
        && interval[0] == "Shielded";
    hold(open, || {
        format!(
            "LOGIN_INTERVAL_MS and LOGIN_BURST with Shield=on are {interval} and {burst}: fewer than LoginRate, {route}"
        )
    })?;
    hold(t.at("/Conditions/HasDomain").to_string().contains("Shielded"), || {
        "HasDomain: with Shield=on the domain belongs to CloudFront".to_owned()
    })?;
    let file = integration_tests::mini_gateway::checkout().join("shield/template.yaml");
    let shield = Template::parse(&std::fs::read_to_string(file).expect("the shield's template is there"));
    let rules = shield.property("Acl", "Rules").as_array().cloned().unwrap_or_default();
    hold(!rules.is_empty(), || "Acl has no rules".to_owned())?;
    for rule in rules {
        let seen = &rule["VisibilityConfig"]["SampledRequestsEnabled"];
        hold(rule["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP" && seen == &json!(false), || {
            format!("{} of Acl does not count by address, or keeps samples of requests: {rule}", rule["Name"])
        })?;
    }
    Ok(())
}

fn held_polls_can_be_kept_from_the_other_functions(t: &Template) -> Result<(), String> {
    let held = t.at("/Parameters/LongPollMaxS/Default");
    hold(held == &json!(0), || {
        format!("LongPollMaxS is {held} by default: polls take the invocations of a new account")
    })?;
    let reserved = t.property("Status", "ReservedConcurrentExecutions");
    let is_right =
        reserved["Fn::If"][1]["Ref"] == "StatusConcurrency" && reserved["Fn::If"][2]["Ref"] == "AWS::NoValue";
    hold(is_right, || format!("ReservedConcurrentExecutions of Status is {reserved}"))
}

fn the_access_log_holds_nothing_personal(t: &Template) -> Result<(), String> {
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
fn the_template_is_read_in_ten_minutes() {
    let file = integration_tests::mini_gateway::checkout().join("template.yaml");
    let bytes = std::fs::read(file).unwrap().len();
    assert!(
        bytes <= MOST_BYTES,
        "template.yaml has {bytes} bytes, {MOST_BYTES} are enough: generate it, nest it, or say it in docs"
    );
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
