//! Every key of the table. No other file contains one.

use domain::{
    audit::{AuditHead, ChainName, checkpoint::Position},
    conversation::ConversationName,
    ids::{Digest, RequestId, Timestamp, UserId, parse_support_code, support_code},
    job::JobState,
    notification::Notice,
};

/// The index of open jobs: hash `open_shard`, range `sweep_at`. A job is in it from its acceptance to its end.
pub const OPEN_JOBS: &str = "open_jobs";
/// Number of shards of the index: DynamoDB accepts about 1,000 writes a second on one.
pub const OPEN_SHARDS: u8 = 8;
/// The partition of items that belong to no user.
pub const CONTROL: &str = "CONTROL";
/// Sort key of the heartbeat of `sweep`.
pub const HEARTBEAT: &str = "HEARTBEAT";
/// Sort key of what `sweep` has counted of the faults that lower the service mode.
pub const FAULT_WATCH: &str = "FAULT_WATCH";
/// Partition and sort key of the number of audit records that could not be written. Not among the controls: every
/// function that writes audit records adds to it, and the one that clients reach may not write to the controls.
pub const UNWRITTEN_AUDIT: &str = "UNWRITTEN_AUDIT";
/// Sort key of the clock by which one host deletes expired items.
pub const RETENTION_CLOCK: &str = "RETENTION_CLOCK";
/// Sort key of the user item, also of a login and of an address.
pub const USER: &str = "USER";
/// Sort key of a user's erasure, which is also its report.
pub const ERASURE: &str = "ERASURE";
/// Partition of the pointers to erasures that are not finished. Their sort key is the user id.
pub const ERASURES_OPEN: &str = "ERASURES#OPEN";
/// Partition of the pointers to finished erasures, for the operators' list.
pub const ERASURES: &str = "ERASURES";
/// Sort key of the marker of a request id that an erased user has used.
pub const USED_ID: &str = "USED";
/// First sort key after the audit records of a user. An erasure keeps those, and reads everything after them.
pub const AFTER_AUDIT: &str = "A$";
/// First sort key after the jobs of a user.
pub const AFTER_JOBS: &str = "J$";
/// Prefix of the sort keys of jobs, so that a list of jobs reads no other items.
pub const JOBS: &str = "J#";

/// Prefix of users' partitions.
pub const USERS: &str = "U#";

/// Partition of everything that one user owns (invariant 10: every lookup is in the caller's partition).
pub fn user(user: UserId) -> String {
    format!("{USERS}{user}")
}

/// Parses a user's partition.
pub fn parse_user(pk: &str) -> Option<UserId> {
    pk.strip_prefix(USERS)?.parse().ok()
}

/// Sort key of a gateway's journal as last seen.
pub fn gateway(journal: &str) -> String {
    format!("GATEWAY#{journal}")
}

/// Sort key of a job.
pub fn job(id: RequestId) -> String {
    format!("{JOBS}{id}")
}

/// Parses the sort key of a job.
pub fn parse_job(sk: &str) -> Option<RequestId> {
    sk.strip_prefix(JOBS)?.parse().ok()
}

/// Sort key of a payload. It contains the fingerprint, so that two concurrent requests with one id have different
/// records.
pub fn payload(id: RequestId, fingerprint: Digest) -> String {
    format!("{PAYLOADS}{id}#{fingerprint}")
}

/// Prefix of the sort keys of a job's payloads: concurrent requests with one id have one each.
pub fn payloads_of(id: RequestId) -> String {
    format!("{PAYLOADS}{id}#")
}

/// Sort key of a step's input that differs from what was submitted.
pub fn input(id: RequestId, digest: Digest) -> String {
    format!("{INPUTS}{id}#{digest}")
}

/// Prefix of the sort keys of conversations, so that a list of conversations reads no other items.
pub const CONVERSATIONS: &str = "C#";

/// Sort key of the set of names that counts a user's conversations.
pub const CONVERSATION_NAMES: &str = "CN";

/// Sort key of a conversation.
pub fn conversation(name: &ConversationName) -> String {
    format!("{CONVERSATIONS}{name}")
}

/// Parses the sort key of a conversation.
pub fn parse_conversation(sk: &str) -> Option<ConversationName> {
    sk.strip_prefix(CONVERSATIONS)?.parse().ok()
}

/// Partition of the marker of a request id that an erased user has used. It names no user: a login after the erasure
/// leads to a new user, whose request with this id must not run again.
pub fn used_id(id: RequestId) -> String {
    format!("{USED_ID}#{id}")
}

/// Sort key of the pointer to a finished erasure: time of the request, then user.
pub fn erasure_at(at: Timestamp, user: UserId) -> String {
    format!("{:015}#{user}", at.millis())
}

/// Parses the sort key of the pointer to a finished erasure: the user.
pub fn parse_erasure_at(sk: &str) -> Option<UserId> {
    sk.split_once('#')?.1.parse().ok()
}

/// Prefix of the sort keys of results.
pub const RESULTS: &str = "OUT#";
/// Prefix of the sort keys of payloads.
pub const PAYLOADS: &str = "IN#";
/// Prefix of the sort keys of held texts.
pub const HELD_TEXTS: &str = "HELD#";
/// Prefix of the sort keys of inputs of steps.
pub const INPUTS: &str = "SEND#";

/// Sort key of a result.
pub fn result(id: RequestId, digest: Digest) -> String {
    format!("{RESULTS}{id}#{digest}")
}

/// Sort key of a text that content safety holds for an operator.
pub fn held_text(id: RequestId, digest: Digest) -> String {
    format!("{HELD_TEXTS}{id}#{digest}")
}

/// Prefix of the sort keys of audit records.
pub const AUDIT: &str = "A#";

/// Prefix of the sort keys of a job's audit records.
pub fn audit_of(id: RequestId) -> String {
    format!("{AUDIT}{id}#")
}

/// Sort key of an audit record: sequence number, then digest. A writer that lost the fence therefore cannot overwrite
/// the record of another writer with the same number; its record is ignored.
pub fn audit(id: RequestId, seq: u64, digest: Digest) -> String {
    format!("{AUDIT}{id}#{seq:05}#{digest}")
}

/// Partition of a login: keyed digest of app id and openid.
pub fn login(digest: Digest) -> String {
    format!("LOGIN#{digest}")
}

/// Partition of the marker of a pushed message: keyed digest of the message.
pub fn event(digest: Digest) -> String {
    format!("EVENT#{digest}")
}

/// Sort key of that marker.
pub const EVENT: &str = "EVENT";

/// Sort key of the record of a notice.
pub fn notice(id: RequestId, notice: Notice) -> String {
    format!("{}{}", notices_of(id), notice.key())
}

/// Prefix of the sort keys of the records of a job's notices.
pub fn notices_of(id: RequestId) -> String {
    format!("PUSH#{id}#")
}

/// Parses the sort key of the record of a notice.
pub fn parse_notice(sk: &str) -> Option<Notice> {
    Notice::parse_key(sk.strip_prefix("PUSH#")?.split_once('#')?.1)
}

/// Attribute of the user item with the user's credits for a template.
pub fn credits(template_id: &str) -> String {
    format!("credits:{template_id}")
}

/// Partition and sort key of WeChat's access token. Not among the controls: only the worker reads and writes it.
pub const WECHAT_TOKEN: &str = "WECHAT_TOKEN";

/// Partition of an address before login: keyed digest of the address.
pub fn address(digest: Digest) -> String {
    format!("ADDR#{digest}")
}

/// Value of `open_shard` for one shard of the index.
pub fn shard(number: u8) -> String {
    format!("OPEN#{}", number % OPEN_SHARDS)
}

/// Prefix of the sort keys of the service mode and the switches of tools: one query reads them all.
pub const SERVICE_MODE: &str = "LADDER#";
/// Sort key of the service mode.
pub const SERVICE_MODE_ALL: &str = "LADDER#SERVICE";
/// Sort key of the last checkpoint, on which destructive calls depend.
pub const SERVICE_MODE_CHECKPOINT: &str = "LADDER#CHECKPOINT";
/// Sort key of what a restore from a backup has set.
pub const SERVICE_MODE_RESTORED: &str = "LADDER#RESTORED";
/// Prefix of the sort keys of the settings of single tools.
pub const SERVICE_MODE_TOOLS: &str = "LADDER#TOOL#";

/// Sort key of the settings of a tool.
pub fn tool_switch(tool: &str) -> String {
    format!("{SERVICE_MODE_TOOLS}{tool}")
}

/// Partition of the operators' chain.
pub const OPERATORS: &str = "CHAIN#OPERATORS";
/// Sort key of the head of a side chain.
pub const CHAIN_HEAD: &str = "RH";
/// Prefix of the sort keys of the records of a side chain.
pub const CHAIN_RECORDS: &str = "R#";

/// Partition of a side chain.
pub fn chain(name: ChainName) -> String {
    match name {
        ChainName::Operators => OPERATORS.to_owned(),
        ChainName::Refusals(id) => user(id),
    }
}

/// Prefix of the sort keys of all records with this sequence number. It sorts before those of the next number.
pub fn chain_place(seq: u64) -> String {
    format!("{CHAIN_RECORDS}{seq:012}#")
}

/// Sort key of a record of a side chain: sequence number, then digest, as in [`audit`].
pub fn chain_record(head: AuditHead) -> String {
    format!("{}{}", chain_place(head.length), head.digest)
}

/// Parses the sort key of a record of a side chain: its sequence number and digest.
pub fn parse_chain_record(sk: &str) -> Option<AuditHead> {
    let (seq, digest) = sk.strip_prefix(CHAIN_RECORDS)?.split_once('#')?;
    Some(AuditHead { length: seq.parse().ok()?, digest: Digest::try_from(digest.to_owned()).ok()? })
}

/// Partition of pointers to jobs that are, or were, in a state that operators list.
pub fn jobs_in(state: JobState) -> String {
    format!("STATE#{}", state.name())
}

/// Partition of pointers to jobs that wait, or waited, for an operator's decision about a text.
pub const JOBS_WITH_HELD_TEXT: &str = "STATE#text_held";

/// Sort key of a pointer: time, then job.
pub fn pointer(at: Timestamp, user: UserId, id: RequestId) -> String {
    format!("{:015}#{}", at.millis(), support_code(user, id))
}

/// Parses the sort key of a pointer: the time that it is sorted by, and the job.
pub fn parse_pointer(sk: &str) -> Option<(Timestamp, UserId, RequestId)> {
    let (at, code) = sk.split_once('#')?;
    let (user, id) = parse_support_code(code)?;
    Some((Timestamp::from_millis(at.parse().ok()?), user, id))
}

/// Partition of an operator: digest of issuer and subject.
pub fn operator(subject: Digest) -> String {
    format!("OPERATOR#{subject}")
}

/// Sort key of the note that a refusal of this call was recorded in this minute. The next equal refusal is not
/// recorded.
pub fn refused_call(call: &str, code: &str, at: Timestamp) -> String {
    format!("REFUSED#{code}#{call}#{}", minute_of(at))
}

/// Sort key of the operator item.
pub const OPERATOR: &str = "OPERATOR";

/// Lower bound of the sort keys of pointers from this time on.
pub fn pointers_from(at: Timestamp) -> String {
    format!("{:015}", at.millis().max(0))
}

/// Number of partitions of one minute's markers: DynamoDB accepts about 1,000 writes a second on one.
pub const NOTE_SHARDS: u8 = 8;

/// One partition of the markers of a minute: the chains that the next checkpoint has to cover.
pub fn grown_in(minute: Timestamp, shard: u8) -> String {
    format!("{}#{}", grown_in_unsharded(minute), shard % NOTE_SHARDS)
}

/// The single partition of a minute's markers in earlier versions, which may still run during a deployment.
pub fn grown_in_unsharded(minute: Timestamp) -> String {
    format!("HEADS#{}", minute_of(minute))
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(60_000)
}

/// Sort key of the marker of a job's chain.
pub fn grown_job(user: UserId, id: RequestId) -> String {
    format!("J#{}", support_code(user, id))
}

/// Sort key of the marker of the chain of a user's refusals.
pub fn grown_refusals(user: UserId) -> String {
    format!("R#{user}")
}

/// Parses the sort key of the marker of a job's chain.
pub fn parse_grown_job(sk: &str) -> Option<(UserId, RequestId)> {
    parse_support_code(sk.strip_prefix("J#")?)
}

/// Parses the sort key of the marker of the chain of a user's refusals.
pub fn parse_grown_refusals(sk: &str) -> Option<UserId> {
    sk.strip_prefix("R#")?.parse().ok()
}

/// Partition of the checkpoints.
pub const CHECKPOINTS: &str = "CHECKPOINTS";

/// Sort key of a checkpoint: in the order of signing.
pub fn checkpoint(seq: u64) -> String {
    format!("{seq:012}")
}

/// Partition of the index from a marker to the checkpoint that covers it.
pub const CHECKPOINT_REACHES: &str = "CHECKPOINT_REACHES";

/// Sort key of an entry of that index, and of a marker's position in it: in the order in which markers are read. A
/// checkpoint covers the markers up to its position. One whose position is the start of a minute covers no marker of
/// that minute.
pub fn reach(position: &Position) -> String {
    format!("{:010}#{}", minute_of(position.minute), position.after.as_deref().unwrap_or_default())
}
