//! Defaults of limits and lifetimes: of the functions' environment, and of the configuration file of one host. A test
//! holds them against the parameters of `template.yaml`.

/// Interval of submissions of one user, in milliseconds.
pub const SUBMIT_INTERVAL_MS: u64 = 500;
/// Submissions of one user at once.
pub const SUBMIT_BURST: u32 = 20;
/// Interval of logins from one address, in milliseconds.
pub const LOGIN_INTERVAL_MS: u64 = 2000;
/// Logins from one address at once.
pub const LOGIN_BURST: u32 = 60;
/// Open jobs of one user.
pub const MAX_IN_FLIGHT: u16 = 16;
/// Open jobs of one user that take long: turns and workflows.
pub const MAX_IN_FLIGHT_LONG: u16 = 3;
/// Conversations of one user.
pub const MAX_CONVERSATIONS: u16 = 100;
/// Lifetime of a session, in seconds.
pub const SESSION_LIFETIME_S: u64 = 7200;
/// Jobs of one batch that run concurrently.
pub const WORKER_CONCURRENCY: u16 = 4;
/// How long records are kept after the end of their job, in days.
pub const RETENTION_DAYS: u64 = 30;
/// Interval of checkpoints, in seconds.
pub const CHECKPOINT_EVERY_S: u64 = 300;
/// Maximum age of the last exported checkpoint for a destructive call, in seconds: three intervals.
pub const CHECKPOINT_MAX_AGE_S: u64 = 900;
/// Duration of a long poll on Lambda, in seconds: none, since a held request costs as much as 25 short ones.
pub const LONG_POLL_MAX_S: u64 = 0;
