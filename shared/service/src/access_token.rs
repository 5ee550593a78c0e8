//! WeChat's access token, which all functions share through the table.

use platform::{
    non_empty::NonEmpty,
    runtime::Runtime,
    wechat::{WechatClient, notifications::NoToken},
};
use secrecy::{ExposeSecret as _, SecretString};
use store::{AccessToken, Table};

/// What a function needs to get the token.
#[derive(Debug, Clone, Copy)]
pub struct AccessTokens<'a> {
    /// The function, for log lines.
    pub function: &'static str,
    /// Time.
    pub runtime: &'a Runtime,
    /// Where the token is kept.
    pub table: &'a Table,
    /// WeChat.
    pub wechat: &'a WechatClient,
    /// The Mini Program.
    pub app_id: &'a str,
}

impl AccessTokens<'_> {
    /// The token that is `stored`; a new one, fetched in normal mode, when it is missing, over, or the one that WeChat has
    /// `refused`. Another function may have replaced the refused one already. It is never forced: that would end it for
    /// every other caller.
    pub async fn get(
        &self,
        stored: Option<AccessToken>,
        app_secrets: &NonEmpty<SecretString>,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, NoToken> {
        let now = self.runtime.now();
        let refused = refused.map(|token| token.expose_secret());
        let good = stored.filter(|stored| {
            !stored.token.is_empty() && now < stored.expires_at && refused != Some(stored.token.as_str())
        });
        if let Some(stored) = good {
            return Ok(stored.token.into());
        }
        let mut fetched = Err(NoToken::Later);
        for secret in app_secrets.iter() {
            fetched = self.wechat.stable_token(self.app_id, secret).await;
            if !matches!(fetched, Err(NoToken::SecretRefused(_))) {
                break;
            }
        }
        let fresh = fetched?;
        if let Err(error) = self.table.keep_access_token(fresh.token.expose_secret(), now, fresh.lasts).await {
            // The next call fetches the same one again.
            tracing::warn!(function = self.function, code = "token_not_kept", error = %error, "WeChat's access token could not be stored for other functions");
        }
        Ok(fresh.token)
    }
}
