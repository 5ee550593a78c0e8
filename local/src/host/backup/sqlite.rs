//! Consistent copies of SQLite databases that another process uses, and metadata of a copy.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{BackupFault, manifest::JournalMark};

/// How long a copy waits for a lock.
const BUSY: Duration = Duration::from_secs(10);

fn failed(file: &Path, done: &'static str) -> impl Fn(rusqlite::Error) -> BackupFault {
    move |source| BackupFault::Sqlite { file: file.to_owned(), done, source }
}

fn open(file: &Path, flags: OpenFlags) -> Result<Connection, BackupFault> {
    let connection = Connection::open_with_flags(file, flags).map_err(failed(file, "opened"))?;
    connection.busy_timeout(BUSY).map_err(failed(file, "opened"))?;
    Ok(connection)
}

/// Copies a database in one read transaction, so that the copy is the state of one instant; writers go on meanwhile.
///
/// Another user owns the database, and root copies it. A connection that may write would play back a rollback journal
/// that lies beside it, and delete any file which that journal names as its super-journal; this one fails then.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BackupFault> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    source.execute("VACUUM INTO ?1", params![to.to_string_lossy()]).map_err(failed(from, "copied"))?;
    Ok(())
}

/// Lets SQLite check every page and index.
pub(super) fn check(file: &Path) -> Result<(), BackupFault> {
    let database = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: String =
        database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed(file, "checked"))?;
    if found == "ok" { Ok(()) } else { Err(BackupFault::Damaged { file: file.to_owned(), found }) }
}

/// The schema version that the table engine has stored.
pub fn table_schema(file: &Path) -> Result<String, BackupFault> {
    let database = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let read = database.query_row("SELECT value FROM _config WHERE key = 'schema_version'", [], |row| row.get(0));
    Ok(read.optional().map_err(failed(file, "read"))?.unwrap_or_default())
}

/// Id and sequence of a journal.
pub(super) fn journal_mark(file: &Path) -> Result<JournalMark, BackupFault> {
    let database = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let meta = "SELECT value FROM meta WHERE name = ?1";
    let id = database.query_row(meta, ["journal"], |row| row.get(0)).map_err(failed(file, "read"))?;
    // The column has no type, and JavaScript's numbers are stored as REAL.
    let sequence = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'sequence'";
    let sequence: i64 = database.query_row(sequence, [], |row| row.get(0)).map_err(failed(file, "read"))?;
    let schema = database.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed(file, "read"))?;
    Ok(JournalMark { id, sequence: u64::try_from(sequence).unwrap_or_default(), schema })
}

/// Gives a journal another id. Calls that were sent to the lost journal are not asked for in this one.
pub(super) fn rename_journal(file: &Path, id: &str) -> Result<(), BackupFault> {
    let database = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let renamed = database.execute("UPDATE meta SET value = ?1 WHERE name = 'journal'", params![id]);
    renamed.map(drop).map_err(failed(file, "written"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_journal_beside_the_database_is_not_played_back() {
        let dir = std::env::temp_dir().join(format!("miniprogram-hot-journal-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let at = |name: &str| dir.join(name);
        let writer = Connection::open(at("written.db")).unwrap();
        let spills = "PRAGMA cache_size = 1; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(300000)); BEGIN; \
                      UPDATE t SET x = randomblob(300000);";
        writer.execute_batch(spills).unwrap();
        for suffix in ["", "-journal"] {
            fs::copy(at(&format!("written.db{suffix}")), at(&format!("crashed.db{suffix}"))).unwrap();
        }
        drop(writer);
        let before = fs::read(at("crashed.db")).unwrap();
        assert!(matches!(copy(&at("crashed.db"), &at("copy.db")), Err(BackupFault::Sqlite { done: "copied", .. })));
        assert!(at("crashed.db-journal").exists() && fs::read(at("crashed.db")).unwrap() == before);
        copy(&at("written.db"), &at("copy-of-written.db")).unwrap();
        check(&at("copy-of-written.db")).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
