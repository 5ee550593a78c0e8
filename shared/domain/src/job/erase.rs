//! What is left of a job after its user was erased.

use crate::job::Job;

impl Job {
    /// Whether the item has content that [`JobEvent::Erased`](crate::job::JobEvent::Erased) removes.
    pub fn has_content(&self) -> bool {
        let mut erased = self.clone();
        erased.erase();
        erased != *self
    }

    /// Removes what the user or a model has written, and what a tool has returned. Ids, names of tools, states and times
    /// stay: they say nothing about a person once nothing leads to the user id. An unknown job leaves the index of open
    /// jobs, since the journal forgets its outcome.
    pub(super) fn erase(&mut self) {
        self.trace = None;
        self.notify = None;
        self.result = None;
        self.sweep_at = None;
        if let Some(resolution) = &mut self.resolution {
            resolution.note = None;
        }
        for step in &mut self.steps {
            step.conversation = None;
            step.input = None;
            step.result = None;
            step.partial = None;
            step.approval = None;
            step.held = None;
            step.decided_texts.clear();
            step.progress.clear();
        }
    }
}
