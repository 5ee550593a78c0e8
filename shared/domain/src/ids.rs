//! Identifiers of users, jobs, operators, times and contents, and the actors of audit records.

mod actor;
mod digest;
mod random_id;
mod request_id;
mod support_code;
mod text_form;
mod timestamp;
mod trace_context;

pub use actor::{Actor, Approver};
pub use digest::{Digest, DigestKey, NotADigest};
pub use random_id::{NotAUserId, NotAnOperatorId, OperatorId, UserId};
pub use request_id::{BadRequestId, IdAge, RequestId};
pub use support_code::{parse_support_code, support_code};
pub(crate) use text_form::text_form;
pub use timestamp::{CLOCKS_DIFFER, NotATime, Timestamp};
pub use trace_context::TraceParent;
