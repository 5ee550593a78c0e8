//! Copies every chain from the table into a directory, one file each, to be verified elsewhere.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use domain::audit::{ChainName, checkpoint::End};
use serde_json::json;
use store::FoundChain;

use super::source::{AuditError, JOBS, REFUSALS, ReadJob, Source, job_file, side_chain_file};
use crate::data::{failed, private_folder};

const PAGE: usize = 500;

/// Result of an export.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Chains of jobs.
    pub jobs: u64,
    /// Side chains of refusals.
    pub refusals: u64,
    /// Jobs that only a newer version can read; they are not copied.
    pub newer: u64,
}

/// Copies every chain. The directory must be missing or empty: a chain that was deleted since an earlier export would
/// otherwise stay there.
pub async fn export(source: &Source, out: &Path) -> Result<Exported, AuditError> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(AuditError::Shape(out.to_owned(), "an empty directory"));
    }
    for directory in [JOBS, REFUSALS] {
        private_folder(&out.join(directory))?;
    }
    copy_side_chain(source, out, ChainName::Operators).await?;
    let (mut exported, mut begin) = (Exported::default(), None);
    loop {
        let (found, next) = source.found(None, begin).await?;
        for chain in found {
            match chain {
                FoundChain::Refusals(user) => {
                    copy_side_chain(source, out, ChainName::Refusals(user)).await?;
                    exported.refusals += 1;
                }
                FoundChain::Job(user, id) => match source.job(user, id).await? {
                    ReadJob::Gone => {}
                    ReadJob::Newer => exported.newer += 1,
                    ReadJob::Chain(chain) => {
                        let file = job_file(out, &chain.job);
                        file.parent().map_or(Ok(()), private_folder)?;
                        let text = serde_json::to_vec(&chain).expect("a chain has string keys only");
                        fs::write(&file, text).map_err(failed(&file, "written"))?;
                        exported.jobs += 1;
                    }
                },
            }
        }
        match next {
            Some(next) => begin = Some(next),
            None => return Ok(exported),
        }
    }
}

async fn copy_side_chain(source: &Source, out: &Path, name: ChainName) -> Result<(), AuditError> {
    let file = side_chain_file(out, name);
    let written = |error| AuditError::from(failed(&file, "written")(error));
    let mut lines = BufWriter::new(File::create(&file).map_err(written)?);
    let (first, head) = (source.begins(name).await?, source.page(name, 0, 1).await?.head);
    let mut after = first.map_or(head.length, |first| first - 1);
    while after < head.length {
        let page = source.page(name, after, PAGE).await?;
        for record in page.records.iter().filter(|record| record["seq"].as_u64().is_none_or(|seq| seq <= head.length)) {
            writeln!(lines, "{record}").map_err(written)?;
        }
        after = page.next.unwrap_or(head.length);
    }
    let erased = match name {
        ChainName::Operators => false,
        ChainName::Refusals(user) => source.is_erased(user).await?,
    };
    let last =
        if erased { json!({ "head": End::from(head), "erased": true }) } else { json!({ "head": End::from(head) }) };
    writeln!(lines, "{last}").and_then(|()| lines.flush()).map_err(written)
}
