//! Meanings of WeChat's errcodes at login: the only place that has them. `docs/design/answers.md` has the same table.
//!
//! Source: the page of `code2Session` and the pages of its family (`checkSessionKey`, `stable_token`) in WeChat's server
//! documentation; 40163, 42003 and 410xx are in none of them, and seen from the real API.

use std::time::Duration;

use domain::limits::Passing;

use super::WechatError;

/// A quota of one minute is available again after one minute.
const MINUTE_QUOTA: Duration = Duration::from_secs(60);
/// A quota of one day is available again at midnight in China. One attempt an hour until then does no harm.
const DAILY_QUOTA: Duration = Duration::from_secs(3600);

impl WechatError {
    /// What an errcode other than 0 means.
    pub(super) fn from_errcode(errcode: i64) -> Self {
        match errcode {
            // System busy.
            -1 => Self::Busy,
            // The code is invalid (40029), used (40163) or expired (42003); the session key is gone (87007) or does not fit (87009).
            40029 | 40163 | 42003 | 87007 | 87009 => Self::CodeRejected { errcode },
            // A high-risk user.
            40226 => Self::Blocked,
            // `api minute-quota reach limit`.
            45011 => Self::Limited { errcode, wait: MINUTE_QUOTA },
            // `reach max api daily quota limit`.
            45009 => Self::Limited { errcode, wait: DAILY_QUOTA },
            // App id (40013), secret (40125; 40243: frozen) or address (40164) of this service; a request that is wrong (40097,
            // 41002: no app id, 41004: no secret, 41008: no code, 87008: signature's method).
            40013 | 40097 | 40125 | 40164 | 40243 | 41002 | 41004 | 41008 | 87008 => Self::Misconfigured { errcode },
            // Not documented for a login.
            _ => Self::Other { errcode },
        }
    }

    /// Whether a repetition with the same login code may succeed.
    pub const fn passing(&self) -> Passing {
        match self {
            // The code, the user or this service's configuration is refused: only another request or an operator
            // helps.
            Self::CodeRejected { .. } | Self::Blocked | Self::Misconfigured { .. } => Passing::Final,
            Self::Busy | Self::Limited { .. } => Passing::Later,
            // The code may have been used.
            Self::Unreachable(_) | Self::Unintelligible { .. } | Self::Other { .. } => Passing::Unknown,
        }
    }
}
