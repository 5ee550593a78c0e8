//! Pages of lists. A cursor names a list and a position in it. It is not signed, because an operator may see the whole
//! list.

use std::fmt::Display;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    ids::{RequestId, Timestamp, parse_support_code, support_code},
    job::{Job, JobState},
    view,
};
use lambda_http::Request;
use platform::http::{ApiError, Code, query};
use store::{Listed, Order, TableError, keys};

use crate::Operator;

/// How many entries are read at most for one page: most of them may be stale.
const LOOKS: usize = 300;
/// How many jobs are read at once.
const AT_ONCE: usize = 16;

/// The position that the cursor of a request names in this list.
pub(crate) fn after(request: &Request, list: &str) -> Result<Option<String>, ApiError> {
    let Some(cursor) = query::once(request, "cursor")? else { return Ok(None) };
    let place = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (of, place) = text.split_once(' ')?;
        (of == list).then(|| place.to_owned())
    };
    place().map(Some).ok_or_else(invalid)
}

/// The cursor of a position.
pub(crate) fn cursor(list: &str, place: impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list} {place}"))
}

/// The error for a cursor that this list did not issue.
pub(crate) fn invalid() -> ApiError {
    ApiError::new(Code::CursorInvalid)
}

/// Logs which entry of a list was skipped.
pub(crate) fn note_unreadable(what: &str, request_id: RequestId) {
    tracing::error!(
        function = "operator", code = "job_unreadable", request_id = %request_id, error = what, "a list left out a job that cannot be read"
    );
}

/// One page of jobs.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) jobs: Vec<Job>,
    /// Support codes of jobs that belong in the list and cannot be parsed.
    pub(crate) unreadable: Vec<String>,
    pub(crate) next_cursor: Option<String>,
}

/// The jobs of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// Jobs with a pointer item of this state, in this order of its time, from this time on.
    Pointers(JobState, Order, Timestamp),
    /// Those in the index of open jobs.
    Open(JobState),
    /// Jobs with a text that waits for a decision, those whose time for it ends first first, from this time on.
    HeldTexts(Timestamp),
}

impl Of {
    /// Whether the job still belongs at this position. A pointer may be stale: the job has moved on, or the change that
    /// wrote the pointer has lost its conditional write.
    fn fits(self, job: &Job, place: Listed) -> bool {
        let is = |state| view::status(job.state) == view::status(state);
        match self {
            Self::Open(state) => is(state),
            Self::Pointers(JobState::AwaitingApproval, ..) => {
                job.pending_text().is_none() && job.lapses_at() == Some(place.at)
            }
            Self::Pointers(state, ..) => is(state) && job.updated_at == place.at,
            Self::HeldTexts(_) => job.pending_text().is_some_and(|held| held.expires_at == place.at),
        }
    }
}

impl Operator {
    /// One page. A page may be shorter than `limit`, even empty, and still have a cursor for the next one.
    pub(crate) async fn page(&self, request: &Request, list: &str, of: Of) -> Result<Page, ApiError> {
        let limit = query::limit(request)?;
        let mut after = after(request, list)?.map(|text| parse(&text).ok_or_else(invalid)).transpose()?;
        let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
        let mut looks = 0;
        while looks < LOOKS {
            let places = match of {
                Of::Pointers(state, order, from) => {
                    self.table.pointers(&keys::jobs_in(state), order, (after, from), AT_ONCE).await
                }
                Of::HeldTexts(from) => {
                    let list = keys::JOBS_WITH_HELD_TEXT;
                    self.table.pointers(list, Order::EarliestFirst, (after, from), AT_ONCE).await
                }
                Of::Open(_) => self.table.open_jobs(after, AT_ONCE).await,
            }?;
            let read = places.iter().map(|place| self.table.listed(*place));
            for (place, job) in places.iter().zip(futures_util::future::join_all(read).await) {
                after = Some(*place);
                match job {
                    Ok(job) => jobs.extend(job.filter(|job| of.fits(job, *place)).map(|job| *job)),
                    // One job that cannot be parsed must not hide the others.
                    Err(TableError::Malformed(what)) => {
                        note_unreadable(what, place.request_id);
                        unreadable.push(support_code(place.user_id, place.request_id));
                    }
                    Err(error) => return Err(error.into()),
                }
                if jobs.len() == limit {
                    let next_cursor = after.map(|place| cursor(list, text(place)));
                    return Ok(Page { jobs, unreadable, next_cursor });
                }
            }
            if places.len() < AT_ONCE {
                return Ok(Page { jobs, unreadable, next_cursor: None });
            }
            looks += places.len();
        }
        Ok(Page { jobs, unreadable, next_cursor: after.map(|place| cursor(list, text(place))) })
    }
}

fn text(place: Listed) -> String {
    format!("{} {}", place.at.millis(), support_code(place.user_id, place.request_id))
}

fn parse(text: &str) -> Option<Listed> {
    let (at, code) = text.split_once(' ')?;
    let (user_id, request_id) = parse_support_code(code)?;
    // Only the canonical spelling of the number is accepted.
    let at: i64 = at.parse().ok().filter(|millis| *millis >= 0)?;
    Some(Listed { at: Timestamp::from_millis(at), user_id, request_id })
}
