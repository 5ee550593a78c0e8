//! Writes every user under the first login key. Users who log in do that for themselves; this is for all others, so that
//! the old key can go without making anybody a new user.

use shared::{
    clock::World,
    digest::{Digest, DigestKey},
    secrets::{EdgeSecrets, Listed},
    table::{KnownUser, Table, TableError},
};

use crate::{
    rotation::{self, Holder, Kind, Phase, Refusal, Request},
    secret_store::{SecretStore, StoreError},
};

/// Why the old key cannot go yet.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The document.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too early, or nothing to do.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Another app id, or keys of another table.
    #[error(
        "{0} users are not known under any listed login key and this app id; nothing is noted, and the old key must stay"
    )]
    Strangers(usize),
    /// Two users for one openid.
    #[error(
        "{0} users are known as somebody else under the new login key; nothing is noted, and the old key must stay"
    )]
    Crossed(usize),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// Users with an openid.
    pub users: usize,
    /// Those that the new key did not know.
    pub written: usize,
}

/// What became of one user.
enum Outcome {
    Known,
    Written,
    Stranger,
    Crossed,
}

/// Goes through all users, and notes in the document that it did.
pub async fn run(
    store: &SecretStore,
    table: &Table,
    world: &World,
    app_id: &str,
    at_once: bool,
) -> Result<Rekeyed, RekeyError> {
    let holder = Holder::EdgeAuth;
    let mut documents = store.read(&[holder]).await?;
    let shape = || Refusal::Shape(holder.function());
    let document = documents.get_mut(&holder).ok_or_else(shape)?;
    let request = Request {
        kind: Kind::LoginKeys,
        phase: Phase::Retire,
        fresh: None,
        session_lifetime: std::time::Duration::ZERO,
        at_once,
        now: world.now(),
    };
    rotation::may_rekey(document, &request)?;
    let secrets: EdgeSecrets = serde_json::from_value(document.clone()).map_err(|_| shape())?;

    let mut counted = Rekeyed { users: 0, written: 0 };
    let (mut strangers, mut crossed, mut begin) = (0, 0, None);
    loop {
        let (users, next) = table.users_page(begin).await?;
        for known in users {
            counted.users += 1;
            match rekey(table, &secrets.logins, app_id, &known).await? {
                Outcome::Known => {}
                Outcome::Written => counted.written += 1,
                Outcome::Stranger => strangers += 1,
                Outcome::Crossed => crossed += 1,
            }
        }
        begin = next;
        if begin.is_none() {
            break;
        }
    }
    match (strangers, crossed) {
        (0, 0) => {}
        (0, _) => return Err(RekeyError::Crossed(crossed)),
        _ => return Err(RekeyError::Strangers(strangers)),
    }
    rotation::note_rekeyed(document, world.now());
    store.write(holder, document).await?;
    Ok(counted)
}

async fn rekey(
    table: &Table,
    keys: &Listed<DigestKey>,
    app_id: &str,
    known: &KnownUser,
) -> Result<Outcome, TableError> {
    let digest = |key: &DigestKey| -> Digest { known.openid.login(app_id, key) };
    match table.login(digest(keys.first())).await? {
        Some(user) if user == known.user => return Ok(Outcome::Known),
        Some(_) => return Ok(Outcome::Crossed),
        None => {}
    }
    // Only what a listed key says is believed: with another app id, nobody would be found, and nothing is written.
    for key in keys.iter().skip(1) {
        if table.login(digest(key)).await? == Some(known.user) {
            let user = table.put_login(digest(keys.first()), known.user).await?;
            return Ok(if user == known.user { Outcome::Written } else { Outcome::Crossed });
        }
    }
    Ok(Outcome::Stranger)
}
