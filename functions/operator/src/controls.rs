//! `/v1/operator/controls`: the mode of the service and of single tools, and temporary unlocks of destructive tools.

use domain::{
    access::service_mode::{Controls, Mode, Setting},
    catalogue::ToolEffect,
};
use lambda_http::Request;
use platform::http::{self, ApiError, Code, Response, body};
use serde::{Deserialize, Serialize};
use service::change_mode::{self, BadChange, Change};

use crate::{Operator, caller::Caller, request_body::Reason};

#[derive(Serialize)]
struct Shown<'a> {
    service: ShownSetting<'a>,
    tools: Vec<ShownTool<'a>>,
    checkpoint: Option<ShownCheckpoint>,
    checkpoint_max_age_s: u64,
    audit_proven: bool,
}

#[derive(Serialize)]
struct ShownSetting<'a> {
    mode: Mode,
    reason: &'a str,
    by: &'a str,
    at: String,
}

#[derive(Serialize)]
struct ShownTool<'a> {
    name: &'a str,
    title: &'a str,
    effect: ToolEffect,
    /// The mode that applies to the tool: the more restrictive of the service's mode and its own.
    effective: Mode,
    /// The mode set for the tool itself.
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_until: Option<String>,
}

#[derive(Serialize)]
struct ShownCheckpoint {
    seq: u64,
    signed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exported_at: Option<String>,
}

impl<'a> From<&'a Setting> for ShownSetting<'a> {
    fn from(setting: &'a Setting) -> Self {
        Self { mode: setting.mode, reason: &setting.reason, by: &setting.by, at: setting.at.to_string() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    #[serde(deserialize_with = "body::name")]
    mode: Mode,
    reason: Reason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnlockBody {
    minutes: u32,
    reason: Reason,
}

impl Operator {
    async fn controls(&self) -> Result<Controls, ApiError> {
        Ok(self.table.controls(self.runtime.now(), self.config.checkpoint_max_age).await?)
    }

    async fn change(&self, caller: &Caller, change: &Change) -> Result<Response, ApiError> {
        let changed = change_mode::change(&self.table, &self.runtime, caller.actor(), change, self.operators.version());
        // A concurrent change may have been recorded later and then applies; the response shows the mode that does.
        changed.await?;
        show(self).await
    }
}

/// Returns the modes and unlocks that are set.
pub(crate) async fn show(operator: &Operator) -> Result<Response, ApiError> {
    let controls = operator.controls().await?;
    let now = operator.runtime.now();
    let tools = operator.policy.catalogue().tools().map(|tool| {
        let (name, switch) = (tool.entry.name.as_str(), controls.tools.get(&tool.entry.name));
        let own = switch.and_then(|switch| switch.setting.as_ref());
        let opened_until = switch.and_then(|switch| switch.opened_until).filter(|until| now < *until);
        ShownTool {
            name,
            title: &tool.entry.title,
            effect: tool.entry.effect,
            effective: controls.mode_for(name),
            mode: own.map_or(Mode::Full, |own| own.mode),
            reason: own.map(|own| own.reason.as_str()),
            by: own.map(|own| own.by.as_str()),
            at: own.map(|own| own.at.to_string()),
            opened_until: opened_until.map(|until| until.to_string()),
        }
    });
    Ok(http::ok(&Shown {
        service: (&controls.service).into(),
        tools: tools.collect(),
        checkpoint: controls.checkpoint.map(|seen| ShownCheckpoint {
            seq: seen.seq,
            signed_at: seen.signed_at.to_string(),
            exported_at: seen.exported_at.map(|at| at.to_string()),
        }),
        checkpoint_max_age_s: controls.checkpoint_max_age.as_secs(),
        audit_proven: controls.audit_proven(now),
    }))
}

const MODE_BODY: &str = r#"{"mode": "full", "read_only", "explain_only" or "closed", "reason": 1 to 200 characters}"#;

/// Whether the same operator has set the same mode for the same reason: a repeated request, which is not recorded
/// again.
fn repeats(setting: Option<&Setting>, caller: &Caller, mode: Mode, reason: &Reason) -> bool {
    setting.is_some_and(|set| set.mode == mode && set.reason == reason.0.text() && set.by == caller.actor().to_string())
}

/// Sets the mode of the service.
pub(crate) async fn set_mode(operator: &Operator, caller: &Caller, request: &Request) -> Result<Response, ApiError> {
    let ModeBody { mode, reason } = body::read(request, MODE_BODY)?;
    if repeats(Some(&operator.controls().await?.service), caller, mode, &reason) {
        return show(operator).await;
    }
    operator.change(caller, &Change::mode(mode, reason.0)).await
}

/// Sets the mode of one tool.
pub(crate) async fn set_tool(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    tool: &str,
) -> Result<Response, ApiError> {
    let ModeBody { mode, reason } = body::read(request, MODE_BODY)?;
    let change = Change::tool(operator.policy.catalogue(), tool, mode, reason.0.clone()).map_err(bad)?;
    let set = operator.controls().await?.tools.remove(tool).and_then(|switch| switch.setting);
    if repeats(set.as_ref(), caller, mode, &reason) {
        return show(operator).await;
    }
    operator.change(caller, &change).await
}

/// Unlocks a destructive tool for a number of minutes from now, or ends its temporary unlock.
pub(crate) async fn open_tool(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    tool: &str,
) -> Result<Response, ApiError> {
    let UnlockBody { minutes, reason } =
        body::read(request, r#"{"minutes": 0 to 1440, "reason": 1 to 200 characters}"#)?;
    let change = Change::unlock(operator.policy.catalogue(), tool, minutes, reason.0).map_err(bad)?;
    operator.change(caller, &change).await
}

fn bad(change: BadChange) -> ApiError {
    let code = match change {
        BadChange::ToolUnknown => Code::NotFound,
        BadChange::NotDestructive => Code::ArgumentsInvalid,
        BadChange::TooLong => Code::BodyInvalid,
    };
    ApiError::new(code).detail(change.to_string())
}
