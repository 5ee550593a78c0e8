//! Verifies saved responses of `GET /v1/jobs/{id}/audit`, one at a time, so that any number fits into memory.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

use domain::{
    audit::{self, Owner, checkpoint::End},
    ids::RequestId,
    json,
};
use serde::Deserialize;
use serde_json::Value;

use super::super::{Failure, output::say};
use crate::data::failed;

/// A response of `GET /v1/jobs/{id}/audit`.
#[derive(Debug, Deserialize)]
pub(crate) struct Chain {
    /// The job.
    pub(crate) request_id: RequestId,
    /// Every record, first to last.
    pub(crate) records: Vec<Value>,
    head: End,
}

impl Chain {
    /// Verifies every link, and that every record belongs to the job: the expected one, or, without one, the job that
    /// the response names.
    pub(crate) fn verify(&self, expected: Option<RequestId>) -> Result<(), String> {
        if expected.is_some_and(|expected| expected != self.request_id) {
            return Err("it is about another job than the one that is expected".to_owned());
        }
        // Every job has at least the record of its acceptance.
        if self.records.is_empty() {
            return Err("it has no record, and every job has one".to_owned());
        }
        let foreign =
            |record: &Value| record["request_id"].as_str().is_some_and(|id| id != self.request_id.to_string());
        if let Some(place) = self.records.iter().position(foreign) {
            return Err(format!("record {} belongs to another job", place + 1));
        }
        audit::verify(&self.records, Owner::Job(self.request_id), self.head.into()).map_err(|fault| fault.to_string())
    }
}

/// The progress of the verification.
#[derive(Default)]
struct Found {
    /// The job that every response must belong to.
    expected: Option<RequestId>,
    checked: usize,
    broken: Vec<String>,
}

impl Found {
    fn chain(&mut self, place: &str, bytes: &[u8]) {
        self.checked += 1;
        let checked = json::kept::<Chain>(bytes)
            .map_err(|error| format!("{place} is not an audit answer: {error}"))
            .and_then(|chain| match chain.verify(self.expected) {
                Ok(()) => Ok(chain),
                Err(fault) => Err(format!("{place}: job {}: {fault}", chain.request_id)),
            });
        match checked {
            Ok(chain) => say(format_args!("ok: {} records of job {}", chain.records.len(), chain.request_id)),
            Err(sentence) => self.broken.push(sentence),
        }
    }

    fn file(&mut self, file: &Path) -> Result<(), Failure> {
        let bytes = std::fs::read(file).map_err(failed(file, "read"))?;
        self.chain(&file.display().to_string(), &bytes);
        Ok(())
    }

    fn directory(&mut self, directory: &Path) -> Result<(), Failure> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed(directory, "read"))? {
            files.push(entry.map_err(failed(directory, "read"))?.path());
        }
        files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
        files.sort();
        files.iter().try_for_each(|file| self.file(file))
    }

    fn lines(&mut self, lines: impl BufRead) -> Result<(), Failure> {
        for (place, line) in lines.split(b'\n').enumerate() {
            let line = line.map_err(failed(Path::new("-"), "read"))?;
            if !line.trim_ascii().is_empty() {
                self.chain(&format!("line {}", place + 1), &line);
            }
        }
        Ok(())
    }
}

/// Verifies saved responses: that each chain is complete and belongs to the expected job, if one is given.
pub(crate) fn verify(answers: &[PathBuf], expected: Option<RequestId>) -> Result<(), Failure> {
    let mut found = Found { expected, ..Found::default() };
    for answer in answers {
        if answer.as_os_str() == "-" {
            found.lines(std::io::stdin().lock())?;
        } else if answer.is_dir() {
            found.directory(answer)?;
        } else {
            found.file(answer)?;
        }
    }
    let Found { checked, broken, .. } = found;
    match broken.as_slice() {
        // A verification of nothing must not look like success.
        [] if checked == 0 => Err("there is no audit answer to check".into()),
        [] => Ok(()),
        [sentence] if checked == 1 => Err(sentence.clone().into()),
        all => {
            all.iter().for_each(|sentence| eprintln!("{sentence}"));
            Err(format!("{} of {checked} chains are broken", all.len()).into())
        }
    }
}
