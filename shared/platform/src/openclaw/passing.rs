//! Classifies the responses of gateway and journal by whether a repetition can be answered differently.
//! `docs/design/answers.md` has the same table.

use domain::limits::Passing;

use super::{CallAnswer, ToolEnd, turns::TurnState};

impl CallAnswer {
    /// Whether a repetition of the call under the same key may be answered differently later.
    pub const fn passing(&self) -> Passing {
        match self {
            // It ran, or never will under this key. A repeatable tool is repeated under another key.
            Self::Ended(ToolEnd::Succeeded(_) | ToolEnd::Reported(_) | ToolEnd::Threw)
            | Self::Refused(_)
            | Self::Revoked
            | Self::KeyReused
            | Self::Unreadable => Passing::Final,
            // It is running, or this dispatch did not start it and a repetition may. An operator can repair a token
            // or a journal.
            Self::StillRunning
            | Self::NotStarted(_)
            | Self::Unavailable(_)
            | Self::Released
            | Self::OtherJournal
            | Self::JournalAbsent
            | Self::Unauthorized => Passing::Later,
            // It may have run.
            Self::NoSuchKey | Self::Interrupted | Self::Lost => Passing::Unknown,
        }
    }
}

impl TurnState {
    /// Whether a repetition of the round may be answered differently later. A round that has ended is final, with or
    /// without a reply.
    pub const fn passing(&self) -> Passing {
        match self {
            Self::Running(_) => Passing::Later,
            Self::Replied(_) | Self::Failed(..) => Passing::Final,
            Self::Other(answer) => answer.passing(),
        }
    }
}
