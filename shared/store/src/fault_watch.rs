//! What `sweep` counts to lower the service mode: failed health checks, and audit records that could not be written.

use std::time::Duration;

use super::{Condition, Item, Table, TableError, Written, keyed, keys, number, number_of};
use domain::{access::fault_watch::FaultWatch, ids::Timestamp};
use platform::{metrics::Metric, runtime::Runtime};

/// How long a function tries to note an unwritable audit record. The request has failed already.
const NOTE_WITHIN: Duration = Duration::from_secs(1);

/// The stored counts, with their revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptWatch {
    /// The counts.
    pub watch: FaultWatch,
    /// Number of writes so far.
    rev: u64,
}

impl Table {
    /// Passes on the outcome of writing an audit record. A failure is counted, and noted for `sweep`. Writers that
    /// lost the conditional write do not show a failing table, so they do not count.
    pub async fn audited<T>(&self, runtime: &Runtime, written: Result<T, TableError>) -> Result<T, TableError> {
        if let Err(error) = &written
            && !matches!(error, TableError::Contended(_))
        {
            runtime.count(Metric::AuditWriteFailures);
            // Not needed to succeed: if the whole table fails, no write is sent anyway.
            let _best_effort = tokio::time::timeout(NOTE_WITHIN, self.note_unwritten()).await;
        }
        written
    }

    async fn note_unwritten(&self) -> Result<(), TableError> {
        // Unconditional: a repetition by the SDK counts twice, which can only lower the mode earlier.
        let one = Condition::none().name("#count", "count").value(":one", number(1));
        let key = (keys::UNWRITTEN_AUDIT.to_owned(), keys::UNWRITTEN_AUDIT.to_owned());
        self.update(key, "ADD #count :one", one).await.map(drop)
    }

    /// How many audit records could not be written, since the table exists.
    pub async fn unwritten_audit(&self) -> Result<u64, TableError> {
        let item = self.get(keys::UNWRITTEN_AUDIT.to_owned(), keys::UNWRITTEN_AUDIT.to_owned()).await?;
        Ok(item.and_then(|item| count(&item, "count")).unwrap_or(0))
    }

    /// What `sweep` has counted so far.
    pub async fn fault_watch(&self) -> Result<KeptWatch, TableError> {
        let item = self.get(keys::CONTROL.to_owned(), keys::FAULT_WATCH.to_owned()).await?;
        Ok(item.as_ref().map(parse).unwrap_or_default())
    }

    /// Stores new counts in place of `before`. `None`: another run has stored its own since.
    pub async fn keep_watch(&self, before: KeptWatch, watch: FaultWatch) -> Result<Option<KeptWatch>, TableError> {
        let rev = before.rev + 1;
        let mut item = keyed(
            keys::CONTROL,
            keys::FAULT_WATCH,
            [
                ("rev", number(rev)),
                ("failed", number(watch.failed)),
                ("good", number(watch.good)),
                ("handled", number(u8::from(watch.outage_handled))),
                ("audit_base", number(watch.audit_base)),
            ],
        );
        let times = [
            ("checked_at", watch.checked_at),
            ("audit_since", watch.audit_since),
            ("audit_lowered_at", watch.audit_lowered_at),
        ];
        item.extend(times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), number(at?.millis())))));
        // Condition: the counts are those that were read, so that of two runs at one time one counts.
        let condition =
            Condition::new("attribute_not_exists(rev) OR rev = :before").value(":before", number(before.rev));
        let written = self.put(item, condition).await?;
        Ok(matches!(written, Written::Done).then_some(KeptWatch { watch, rev }))
    }
}

fn count(item: &Item, name: &str) -> Option<u64> {
    u64::try_from(number_of(item, name)?).ok()
}

/// An unreadable count is 0: counting then begins again, which delays a change of the mode by some minutes.
fn parse(item: &Item) -> KeptWatch {
    let small = |name| count(item, name).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let time = |name| number_of(item, name).map(Timestamp::from_millis);
    let watch = FaultWatch {
        checked_at: time("checked_at"),
        failed: small("failed"),
        good: small("good"),
        outage_handled: small("handled") == 1,
        audit_base: count(item, "audit_base").unwrap_or(0),
        audit_since: time("audit_since"),
        audit_lowered_at: time("audit_lowered_at"),
    };
    KeptWatch { watch, rev: count(item, "rev").unwrap_or(0) }
}
