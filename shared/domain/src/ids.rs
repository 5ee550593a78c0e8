//! Identifiers of users, jobs, operators, times and contents, and the actors of audit records.

mod actor;
mod digest;
mod operator_id;
mod request_id;
mod support_code;
mod timestamp;
mod trace_context;
mod user_id;

pub use actor::{Actor, Approver};
pub use digest::{Digest, DigestKey, NotADigest};
pub use operator_id::{NotAnOperatorId, OperatorId};
pub use request_id::{BadRequestId, IdAge, RequestId};
pub use support_code::{parse_support_code, support_code};
pub use timestamp::{CLOCKS_DIFFER, NotATime, Timestamp};
pub use trace_context::TraceParent;
pub use user_id::{NotAUserId, UserId};
