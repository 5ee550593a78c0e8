//! Times and rates that have to fit each other.

use domain::policy::Policy;
use platform::{aws::OPERATION_TIMEOUT, wechat};
use serde_json::{Value, json};

use super::{hold, seconds};
use crate::document::Template;

/// Calls that one gateway takes in a second.
const GATEWAY_CALLS_PER_S: f64 = 50.0;
/// Timeout of an HTTP API for a function.
const API_LIMIT_MS: f64 = 30_000.0;

pub(super) fn visibility_outlasts_the_worker(t: &Template) -> Result<(), String> {
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

pub(super) fn worker_calls_end_before_the_worker(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Worker", "Timeout")?;
    let http = worker::WAIT_AT_MOST + worker::AT_ONCE + worker::STOP_BEFORE;
    hold(http <= worker::LEAST_TIME, || "LEAST_TIME of the worker is less than a call and its repetition".to_owned())?;
    let least = worker::LEAST_TIME.as_secs_f64();
    hold(timeout >= 2.0 * least, || {
        format!("Timeout of Worker is {timeout} s: after {least} s, LEAST_TIME, it would begin nothing more")
    })
}

pub(super) fn the_api_waits_for_its_functions(t: &Template) -> Result<(), String> {
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

pub(super) fn edge_auth_has_time_for_its_longest_path(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "EdgeAuth", "Timeout")?;
    // A submission: session, job, user, payload, job, wake-up message. A login: address, WeChat, login, user, user.
    let longest = (6 * OPERATION_TIMEOUT).max(4 * OPERATION_TIMEOUT + wechat::TOTAL_TIMEOUT).as_secs_f64();
    hold(timeout > longest, || format!("Timeout of EdgeAuth is {timeout} s; its longest path takes up to {longest} s"))
}

pub(super) fn status_has_time_for_its_longest_poll(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Status", "Timeout")?;
    let (_, poll) = t.range("Status", "Environment/Variables/LONG_POLL_MAX_S")?;
    // Session, job, the poll with a last read, result.
    let longest = poll + (4 * OPERATION_TIMEOUT).as_secs_f64();
    hold(timeout > longest, || {
        format!("LONG_POLL_MAX_S may be {poll} s; Timeout of Status, {timeout} s, has no room for it")
    })
}

pub(super) fn a_sweep_ends_before_the_next(t: &Template) -> Result<(), String> {
    let timeout = seconds(t, "Sweep", "Timeout")?;
    let schedule = t.property("Sweep", "Events/EveryMinute/Properties/Schedule");
    hold(schedule == "rate(1 minute)" && timeout < 60.0, || {
        format!("Timeout of Sweep is {timeout} s, its Schedule {schedule}: a run has to end before the next one begins")
    })
}

pub(super) fn a_message_outlives_the_attempts_of_its_job(t: &Template) -> Result<(), String> {
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

pub(super) fn the_gateway_takes_what_workers_send(t: &Template) -> Result<(), String> {
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
pub(super) fn the_workers_chain_is_not_cut_after_16_hops(t: &Template) -> Result<(), String> {
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

pub(super) fn a_batch_fills_the_worker_and_reports_failures(t: &Template) -> Result<(), String> {
    let source = |path: &str| format!("Events/Jobs/Properties/{path}");
    let (batch, _) = t.range("Worker", &source("BatchSize"))?;
    let (_, each) = t.range("Worker", "Environment/Variables/WORKER_CONCURRENCY")?;
    hold(each <= batch && batch <= 10.0, || format!("BatchSize is {batch}; WORKER_CONCURRENCY may be {each}"))?;
    let response = t.property("Worker", &source("FunctionResponseTypes"));
    hold(response == &json!(["ReportBatchItemFailures"]), || {
        format!("FunctionResponseTypes is {response}: one message that fails would bring back its whole batch")
    })
}

pub(super) fn routes_that_cost_more_take_fewer(t: &Template) -> Result<(), String> {
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
pub(super) fn one_client_does_not_use_up_what_a_route_takes(t: &Template) -> Result<(), String> {
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

/// All clients then have CloudFront's addresses, so a limit for each address would be one for all of them.
pub(super) fn behind_the_shield_addresses_are_counted_by_waf_alone(t: &Template) -> Result<(), String> {
    let route = t.at("/Parameters/LoginRate/Default").as_f64().unwrap_or_default();
    let of = |name: &str| t.property("EdgeAuth", &format!("Environment/Variables/{name}"))["Fn::If"].clone();
    let (interval, burst) = (of("LOGIN_INTERVAL_MS"), of("LOGIN_BURST"));
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
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

pub(super) fn held_polls_can_be_kept_from_the_other_functions(t: &Template) -> Result<(), String> {
    let held = t.at("/Parameters/LongPollMaxS/Default");
    hold(held == &json!(0), || {
        format!("LongPollMaxS is {held} by default: polls take the invocations of a new account")
    })?;
    let reserved = t.property("Status", "ReservedConcurrentExecutions");
    let is_right =
        reserved["Fn::If"][1]["Ref"] == "StatusConcurrency" && reserved["Fn::If"][2]["Ref"] == "AWS::NoValue";
    hold(is_right, || format!("ReservedConcurrentExecutions of Status is {reserved}"))
}
