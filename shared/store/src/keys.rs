//! Every key of the table. No other file spells one.

use domain::{
    audit::{AuditHead, ChainName, checkpoint::Position},
    conversation::ConversationName,
    ids::{Digest, RequestId, Timestamp, UserId, parse_support_code, support_code},
    job::JobState,
};

/// The index of open jobs: hash `open_shard`, range `sweep_at`, present from accept to terminal.
pub const OPEN_JOBS: &str = "open_jobs";
/// How many shards the index has: one shard takes about 1,000 writes a second.
pub const OPEN_SHARDS: u8 = 8;
/// The partition of things that belong to no user.
pub const CONTROL: &str = "CONTROL";
/// Sort key of the sweeper's heartbeat.
pub const HEARTBEAT: &str = "HEARTBEAT";
/// Sort key of the clock by which one host deletes expired items.
pub const RETENTION_CLOCK: &str = "RETENTION_CLOCK";
/// Sort key of the user item.
pub const USER: &str = "USER";
/// Prefix of the sort keys of jobs: listing jobs reads jobs only.
pub const JOBS: &str = "J#";

/// Prefix of the partitions of users.
pub const USERS: &str = "U#";

/// Partition of everything that one user owns (invariant 10: every lookup is by the caller's partition).
pub fn user(user: UserId) -> String {
    format!("{USERS}{user}")
}

/// The user whose partition it is.
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

/// The job whose sort key it is.
pub fn parse_job(sk: &str) -> Option<RequestId> {
    sk.strip_prefix(JOBS)?.parse().ok()
}

/// Sort key of a payload: under its fingerprint, so that two requests that race under one id do not share a record.
pub fn payload(id: RequestId, fingerprint: Digest) -> String {
    format!("IN#{id}#{fingerprint}")
}

/// Prefix of the sort keys of a job's payloads: of requests that raced under one id, each has its own.
pub fn payloads_of(id: RequestId) -> String {
    format!("IN#{id}#")
}

/// Sort key of what a step sends when that is not what was submitted.
pub fn input(id: RequestId, digest: Digest) -> String {
    format!("SEND#{id}#{digest}")
}

/// Prefix of the sort keys of conversations: listing them reads them only.
pub const CONVERSATIONS: &str = "C#";

/// Sort key of the names of a user's conversations, which are counted by it.
pub const CONVERSATION_NAMES: &str = "CN";

/// Sort key of a conversation.
pub fn conversation(name: &ConversationName) -> String {
    format!("{CONVERSATIONS}{name}")
}

/// The conversation whose sort key it is.
pub fn parse_conversation(sk: &str) -> Option<ConversationName> {
    sk.strip_prefix(CONVERSATIONS)?.parse().ok()
}

/// Sort key of a result.
pub fn result(id: RequestId, digest: Digest) -> String {
    format!("OUT#{id}#{digest}")
}

/// Prefix of the sort keys of a job's audit records.
pub fn audit_of(id: RequestId) -> String {
    format!("A#{id}#")
}

/// Sort key of an audit record: by place, then by digest, so that a writer that lost its fence leaves a record that no
/// head reaches, and never takes the place of one that a head does.
pub fn audit(id: RequestId, seq: u64, digest: Digest) -> String {
    format!("A#{id}#{seq:05}#{digest}")
}

/// Partition of a login: the keyed digest of app id and openid.
pub fn login(digest: Digest) -> String {
    format!("LOGIN#{digest}")
}

/// Partition of an address before login: its keyed digest.
pub fn address(digest: Digest) -> String {
    format!("ADDR#{digest}")
}

/// Shard of a job in the index of open jobs.
pub fn shard(number: u8) -> String {
    format!("OPEN#{}", number % OPEN_SHARDS)
}

/// Prefix of the sort keys of what people and alarms set: one query reads them all.
pub const SERVICE_MODE: &str = "LADDER#";
/// Sort key of the service's mode.
pub const SERVICE_MODE_ALL: &str = "LADDER#SERVICE";
/// Sort key of the last checkpoint, as the ladder knows it.
pub const SERVICE_MODE_CHECKPOINT: &str = "LADDER#CHECKPOINT";
/// Prefix of the sort keys of the switches of single tools.
pub const SERVICE_MODE_TOOLS: &str = "LADDER#TOOL#";

/// Sort key of the switch of a tool.
pub fn tool_switch(tool: &str) -> String {
    format!("{SERVICE_MODE_TOOLS}{tool}")
}

/// Partition of the chain of what operators did.
pub const OPERATORS: &str = "CHAIN#OPERATORS";
/// Sort key of the head of a chain beside the jobs: the operators' chain, or one user's refusals.
pub const CHAIN_HEAD: &str = "RH";
/// Prefix of the sort keys of the records of a chain beside the jobs.
pub const CHAIN_RECORDS: &str = "R#";

/// Partition of a chain beside the jobs.
pub fn chain(name: ChainName) -> String {
    match name {
        ChainName::Operators => OPERATORS.to_owned(),
        ChainName::Refusals(id) => user(id),
    }
}

/// What the sort keys of all records at this place of a chain begin with. Those of the next place come after all of them.
pub fn chain_place(seq: u64) -> String {
    format!("{CHAIN_RECORDS}{seq:012}#")
}

/// Sort key of a record of a chain beside the jobs: by place, then by digest, as in [`audit`].
pub fn chain_record(head: AuditHead) -> String {
    format!("{}{}", chain_place(head.length), head.digest)
}

/// Place and digest of the record whose sort key it is.
pub fn parse_chain_record(sk: &str) -> Option<AuditHead> {
    let (seq, digest) = sk.strip_prefix(CHAIN_RECORDS)?.split_once('#')?;
    Some(AuditHead { length: seq.parse().ok()?, digest: Digest::try_from(digest.to_owned()).ok()? })
}

/// Partition of pointers to jobs that are, or were, in a state that people look for.
pub fn jobs_in(state: JobState) -> String {
    format!("STATE#{}", state.name())
}

/// Sort key of a pointer: by time, then by job.
pub fn pointer(at: Timestamp, user: UserId, id: RequestId) -> String {
    format!("{:015}#{}", at.millis(), support_code(user, id))
}

/// The job of a pointer, and the time that it is ordered by.
pub fn parse_pointer(sk: &str) -> Option<(Timestamp, UserId, RequestId)> {
    let (at, code) = sk.split_once('#')?;
    let (user, id) = parse_support_code(code)?;
    Some((Timestamp::from_millis(at.parse().ok()?), user, id))
}

/// Partition of an operator: the digest of issuer and subject.
pub fn operator(subject: Digest) -> String {
    format!("OPERATOR#{subject}")
}

/// Sort key of the note that an operator was refused a call in this minute: the next refusal of the same is not recorded.
pub fn refused_call(call: &str, code: &str, at: Timestamp) -> String {
    format!("REFUSED#{code}#{call}#{}", minute_of(at))
}

/// Sort key of the operator item.
pub const OPERATOR: &str = "OPERATOR";

/// What the sort keys of pointers from this time on begin with, or come after.
pub fn pointers_from(at: Timestamp) -> String {
    format!("{:015}", at.millis().max(0))
}

/// How many partitions the notes of one minute have: one takes about 1,000 writes a second.
pub const NOTE_SHARDS: u8 = 8;

/// One partition of the notes of a minute: which chains have grown an end that a checkpoint is to name.
pub fn grown_in(minute: Timestamp, shard: u8) -> String {
    format!("{}#{}", grown_in_unsharded(minute), shard % NOTE_SHARDS)
}

/// The one partition of the notes of a minute in tables of earlier versions, and of functions that have not been replaced yet.
pub fn grown_in_unsharded(minute: Timestamp) -> String {
    format!("HEADS#{}", minute_of(minute))
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(60_000)
}

/// Sort key of the note of a job's chain.
pub fn grown_job(user: UserId, id: RequestId) -> String {
    format!("J#{}", support_code(user, id))
}

/// Sort key of the note of the chain of a user's refusals.
pub fn grown_refusals(user: UserId) -> String {
    format!("R#{user}")
}

/// The job whose note it is.
pub fn parse_grown_job(sk: &str) -> Option<(UserId, RequestId)> {
    parse_support_code(sk.strip_prefix("J#")?)
}

/// The user whose note it is.
pub fn parse_grown_refusals(sk: &str) -> Option<UserId> {
    sk.strip_prefix("R#")?.parse().ok()
}

/// Partition of the checkpoints.
pub const CHECKPOINTS: &str = "CHECKPOINTS";

/// Sort key of a checkpoint: in the order in which they were signed.
pub fn checkpoint(seq: u64) -> String {
    format!("{seq:012}")
}

/// Partition of the index that leads from a note to the checkpoint that covers it.
pub const CHECKPOINT_REACHES: &str = "CHECKPOINT_REACHES";

/// Sort key of an entry of that index, and of the place of a note in it: in the order in which notes are read. A checkpoint
/// that reaches to a note covers it; one that reaches to the beginning of a minute covers no note of that minute.
pub fn reach(position: &Position) -> String {
    format!("{:010}#{}", minute_of(position.minute), position.after.as_deref().unwrap_or_default())
}
