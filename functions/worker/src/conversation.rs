//! Conversations: the queue in which their jobs run one after the other, and their deletion.

mod deletion;
pub(crate) mod queue;
