//! Exports a stopped host for a deployment on AWS: the table as lines that DynamoDB imports, and the four documents of
//! secrets with the same keys.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use domain::ids::Timestamp;
use dynoxide::{
    Database, Item,
    actions::scan::{ScanRequest, ScanResponse},
};
use serde_json::{Value, json};

use crate::{
    data::{DataDir, DataError, failed, private_folder, write_private},
    emulation::backend::TABLE,
    secrets::{
        split::split,
        store::{SecretStore, StoreError},
    },
};

/// The folder of the table, which has nothing else in it: DynamoDB imports all files below a prefix.
pub const TABLE_FOLDER: &str = "table";
/// The folder of the documents.
pub const SECRETS_FOLDER: &str = "secrets";
/// How many items are in memory at once.
const PAGE: usize = 500;

/// An export cannot be made. The service can be started as before.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] DataError),
    /// There is no table.
    #[error("there is no table at {0}")]
    NoTable(PathBuf),
    /// The directory has something in it.
    #[error("{0} is not empty; name a new directory")]
    NotEmpty(PathBuf),
    /// The table engine refuses the table or a page of it.
    #[error("the table cannot be read: {0}")]
    Engine(String),
    /// The document has another shape.
    #[error("{0} is not a secrets document")]
    NotSecrets(PathBuf),
    /// The users are those of the stub.
    #[error("this data directory was made with --dev: its users are not WeChat's")]
    Dev,
    /// A document cannot be written.
    #[error(transparent)]
    Secrets(#[from] StoreError),
}

/// Writes table and secrets into an empty directory, which only its owner can read. Returns how many items there are.
/// With its end the service of the data directory starts no more.
pub async fn export(data: &DataDir, to: &Path, now: Timestamp) -> Result<u64, ExportFault> {
    let table = data.table_file();
    if !table.is_file() {
        return Err(ExportFault::NoTable(table));
    }
    let file = data.secrets_file();
    let text = fs::read(&file).map_err(failed(&file, "read"))?;
    let document: Value = domain::json::kept(text).map_err(|_| ExportFault::NotSecrets(file))?;
    if document["dev"] != json!(false) {
        return Err(ExportFault::Dev);
    }
    private_folder(to)?;
    if fs::read_dir(to).map_err(failed(to, "read"))?.next().is_some() {
        return Err(ExportFault::NotEmpty(to.to_owned()));
    }
    let (tables, secrets) = (to.join(TABLE_FOLDER), to.join(SECRETS_FOLDER));
    private_folder(&tables)?;
    private_folder(&secrets)?;
    SecretStore::Directory(secrets).fill(&split(&document)).await?;
    // The engine blocks its thread.
    let written = tokio::task::spawn_blocking(move || write_items(&table, &tables.join("items.json"))).await;
    let count = written.map_err(|failed| ExportFault::Engine(failed.to_string()))??;
    write_private(&data.exported(), now.to_string().as_bytes())?;
    Ok(count)
}

/// One `{"Item": …}` for each line, in DynamoDB's JSON. Items hold no secret in the clear, and personal data.
fn write_items(table: &Path, to: &Path) -> Result<u64, ExportFault> {
    let engine = |fault: dynoxide::DynoxideError| ExportFault::Engine(fault.to_string());
    let database = Database::new(&table.to_string_lossy()).map_err(engine)?;
    let file = File::options().create_new(true).write(true).mode(0o600).open(to).map_err(failed(to, "written"))?;
    let mut out = BufWriter::new(file);
    let (mut from, mut count) = (None, 0);
    loop {
        let ScanResponse { items, last_evaluated_key, .. } = database.scan(page(from)).map_err(engine)?;
        for item in items.into_iter().flatten() {
            writeln!(out, "{}", line(&item)).map_err(failed(to, "written"))?;
            count += 1;
        }
        from = last_evaluated_key;
        if from.is_none() {
            break;
        }
    }
    let file = out.into_inner().map_err(|cause| failed(to, "written")(cause.into_error()))?;
    file.sync_all().map_err(failed(to, "written"))?;
    Ok(count)
}

fn page(from: Option<Item>) -> ScanRequest {
    ScanRequest {
        table_name: TABLE.to_owned(),
        limit: Some(PAGE),
        consistent_read: Some(true),
        exclusive_start_key: from,
        ..ScanRequest::default()
    }
}

/// Attributes in order, so that two exports of one table can be compared.
fn line(item: &Item) -> Value {
    let item: BTreeMap<_, _> = item.iter().collect();
    json!({ "Item": item })
}
