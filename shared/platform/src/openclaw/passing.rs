//! The gateway's and the journal's answers, sorted: which of them can pass. `docs/design/answers.md` has the same table.

use domain::limits::Passing;

use super::{CallAnswer, ToolEnd, turns::TurnState};

impl CallAnswer {
    /// Whether the same call under the same key may be answered otherwise later.
    pub const fn passing(&self) -> Passing {
        match self {
            // It ran, or never will under this key; what a repeatable tool does next, it does under another one.
            Self::Ended(ToolEnd::Succeeded(_) | ToolEnd::Reported(_) | ToolEnd::Threw)
            | Self::Refused(_)
            | Self::Revoked
            | Self::KeyReused
            | Self::Unreadable => Passing::Final,
            // It runs, or this sending did not start it, and the same sending may later. An operator mends a token or a journal.
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
    /// Whether the same round may be answered otherwise later. A round that has ended has, with or without a reply.
    pub const fn passing(&self) -> Passing {
        match self {
            Self::Running(_) => Passing::Later,
            Self::Replied(_) | Self::Failed(..) => Passing::Final,
            Self::Other(answer) => answer.passing(),
        }
    }
}
