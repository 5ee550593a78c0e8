//! Writes the login item of every user under the first login key. Logging in does that for one user; this does it for
//! all others, so that the old key can be retired without creating them again as new users.

use domain::ids::{Digest, DigestKey};
use platform::{non_empty::NonEmpty, runtime::Runtime, secrets::EdgeSecrets};
use serde_json::Value;
use store::{KnownUser, Table, TableError};

use crate::secrets::{
    rotation::{self, Holder, Kind, Phase, Refusal, Request},
    store::{SecretStore, StoreError},
};

const HOLDER: Holder = Holder::EdgeAuth;

/// Why the old key cannot be retired yet.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The document of secrets could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too early, or no rotation of login keys.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A request to the table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The app id is wrong, or the keys belong to another table.
    #[error(
        "{0} users are not known under any listed login key and this app id; nothing is noted, and the old key must stay"
    )]
    UnknownUsers(usize),
    /// The login keys changed during the run, so users were written under keys that are not listed any more.
    #[error("the login keys were changed meanwhile; nothing is noted; run it again")]
    Changed,
    /// The new key finds another user for the same openid.
    #[error("{0} users have another user id under the new login key; nothing was changed, and the old key must stay")]
    Crossed(usize),
}

/// Result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// Users with an openid.
    pub users: usize,
    /// Users that the new key did not find before.
    pub written: usize,
}

/// Outcome for one user.
enum Outcome {
    Known,
    Written,
    UnknownUser,
    Crossed,
}

/// Goes through all users, and notes in the document that it is done.
pub async fn run(
    store: &SecretStore,
    table: &Table,
    runtime: &Runtime,
    app_id: &str,
    at_once: bool,
) -> Result<Rekeyed, RekeyError> {
    let request = Request {
        kind: Kind::LoginKeys,
        phase: Phase::Retire,
        fresh: None,
        session_lifetime: std::time::Duration::ZERO,
        at_once,
        now: runtime.now(),
    };
    let (_, logins) = read(store, &request).await?;
    let counted = write_all(table, &logins, app_id).await?;
    // The run took time, so the note goes into the document as it is now.
    let (mut document, now_listed) = read(store, &request).await?;
    if !now_listed.iter().eq(logins.iter()) {
        return Err(RekeyError::Changed);
    }
    rotation::note_rekeyed(&mut document, runtime.now());
    store.write(HOLDER, &document).await?;
    Ok(counted)
}

/// Reads the document and its login keys, if users may be written under the first of them now.
async fn read(store: &SecretStore, request: &Request) -> Result<(Value, NonEmpty<DigestKey>), RekeyError> {
    let shape = || Refusal::Shape(HOLDER.function());
    let document = store.read(&[HOLDER]).await?.remove(&HOLDER).ok_or_else(shape)?;
    rotation::may_rekey(&document, request)?;
    let secrets: EdgeSecrets = serde_json::from_value(document.clone()).map_err(|_| shape())?;
    Ok((document, secrets.logins))
}

async fn write_all(table: &Table, logins: &NonEmpty<DigestKey>, app_id: &str) -> Result<Rekeyed, RekeyError> {
    let mut counted = Rekeyed { users: 0, written: 0 };
    let (mut unknown, mut crossed, mut begin) = (0, 0, None);
    loop {
        let (users, next) = table.users_page(begin).await?;
        for known in users {
            counted.users += 1;
            match rekey(table, logins, app_id, &known).await? {
                Outcome::Known => {}
                Outcome::Written => counted.written += 1,
                Outcome::UnknownUser => unknown += 1,
                Outcome::Crossed => crossed += 1,
            }
        }
        begin = next;
        if begin.is_none() {
            break;
        }
    }
    match (unknown, crossed) {
        (0, 0) => Ok(counted),
        (0, _) => Err(RekeyError::Crossed(crossed)),
        _ => Err(RekeyError::UnknownUsers(unknown)),
    }
}

async fn rekey(
    table: &Table,
    keys: &NonEmpty<DigestKey>,
    app_id: &str,
    known: &KnownUser,
) -> Result<Outcome, TableError> {
    let digest = |key: &DigestKey| -> Digest { known.openid.login(app_id, key) };
    match table.login(digest(keys.first())).await? {
        Some(user) if user == known.user => return Ok(Outcome::Known),
        Some(_) => return Ok(Outcome::Crossed),
        None => {}
    }
    // A user is written only if a listed key finds the same user. With a wrong app id no user is found, and nothing is
    // written.
    for key in keys.iter().skip(1) {
        if table.login(digest(key)).await? == Some(known.user) {
            let user = table.put_login(digest(keys.first()), known.user).await?;
            return Ok(if user == known.user { Outcome::Written } else { Outcome::Crossed });
        }
    }
    Ok(Outcome::UnknownUser)
}
