//! A session of a test user of a stack on AWS, signed without WeChat, so that a new deployment can be called before a
//! Mini Program exists.

use std::{path::Path, time::Duration};

use domain::{
    access::session::{Audience, BadSessionKey},
    ids::{Digest, UserId},
    risk::LimitChange,
};
use platform::{runtime::Runtime, secrets::EdgeSecrets, wechat::OpenId};
use serde::Deserialize;
use store::{Table, TableError};

use crate::data::{DataError, failed};

/// `SESSION_ISSUER` of the template.
const ISSUER: &str = "openclaw-miniprogram";
/// Stages that take sessions of test users. In prod every user is one of WeChat's.
pub const STAGES: [&str; 2] = ["test", "staging"];

/// No session was made.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// An I/O error.
    #[error(transparent)]
    File(#[from] DataError),
    /// The stage has no stack name.
    #[error("{file} names no stack for the stage {stage}")]
    NoStack {
        /// `samconfig.toml`.
        file: String,
        /// The stage.
        stage: String,
    },
    /// The name cannot be part of an openid.
    #[error("a test user's name has 1 to 40 letters, digits or hyphens")]
    Name,
    /// The secret has no key that can sign.
    #[error(transparent)]
    Key(#[from] BadSessionKey),
    /// A request to the table failed.
    #[error(transparent)]
    Table(#[from] TableError),
}

#[derive(Deserialize)]
struct Deploy {
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    stack_name: String,
}

/// Issuer and audience of a stage's sessions. The template gives its functions the stack's name as audience, so a
/// session of one stage is refused by every other, whatever key has signed it.
pub fn audience(checkout: &Path, stage: &str) -> Result<Audience, SessionError> {
    let file = checkout.join("samconfig.toml");
    let text = std::fs::read_to_string(&file).map_err(failed(&file, "read"))?;
    let no_stack = || SessionError::NoStack { file: file.display().to_string(), stage: stage.to_owned() };
    let stages: toml::Table = text.parse().map_err(|_| no_stack())?;
    let deploy = stages.get(stage).and_then(|one| one.get("deploy")).ok_or_else(no_stack)?;
    let deploy: Deploy = deploy.clone().try_into().map_err(|_| no_stack())?;
    Ok(Audience { issuer: ISSUER.to_owned(), audience: deploy.parameters.stack_name })
}

/// Logs a test user in, without WeChat: finds or creates the user, and signs a session.
pub async fn begin(
    secrets: &EdgeSecrets,
    table: &Table,
    runtime: &Runtime,
    audience: &Audience,
    app_id: &str,
    name: &str,
    lifetime: Duration,
) -> Result<String, SessionError> {
    let openid = openid(name)?;
    let signer = secrets.sessions.signer(audience)?;
    // Under the app id of the stage, as every other user: a rotation of login keys finds this one, too.
    let logins: Vec<Digest> = secrets.logins.iter().map(|key| openid.login(app_id, key)).collect();
    let user_id = table.find_or_create_login(&logins, UserId::from_random(runtime.bytes())).await?;
    let now = runtime.now();
    let user = table.record_login(user_id, openid.expose(), LimitChange::Clear, now).await?;
    let began_at = now.max(user.not_before.plus(Duration::from_millis(1)));
    Ok(signer.mint(user_id, began_at, lifetime)?.0)
}

/// An openid that WeChat never issues: WeChat's openids have no hyphens around a name.
fn openid(name: &str) -> Result<OpenId, SessionError> {
    let is_name =
        (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then(|| OpenId::parse(&format!("test-session-{name}"))).flatten().ok_or(SessionError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_what_the_template_gives_to_the_functions_of_that_stack() {
        let checkout = crate::data::checkout().unwrap();
        for stage in STAGES {
            let found = audience(&checkout, stage).unwrap();
            assert_eq!(found.audience, format!("openclaw-miniprogram-{stage}"));
        }
        let template = std::fs::read_to_string(checkout.join("template.yaml")).unwrap();
        assert!(template.contains(&format!("SESSION_ISSUER: {ISSUER}\n")));
        assert!(template.contains("SESSION_AUDIENCE: !Ref AWS::StackName\n"));
        assert!(audience(&checkout, "version").is_err());
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for (name, good) in [("first", true), ("a-1", true), ("", false), ("a b", false), ("é", false)] {
            assert_eq!(openid(name).is_ok(), good, "{name}");
        }
        assert!(openid(&"a".repeat(41)).is_err());
    }
}
