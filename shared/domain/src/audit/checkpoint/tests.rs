use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn key(seed: u8) -> (PublicKey, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let der = STANDARD.encode(pair.to_pkcs8v1().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    (PublicKey { kid: format!("k{seed}"), public }, pem)
}

fn signer(seed: u8, announced: &[u8]) -> CheckpointSigner {
    let (public, pem) = key(seed);
    CheckpointSigner::new(&public.kid, &pem, announced.iter().map(|seed| key(*seed).0).collect()).unwrap()
}

fn after(minutes: u64) -> Position {
    Position::at(NOW.plus(MINUTE * u32::try_from(minutes).unwrap()))
}

/// A run of checkpoints, one for each key that signs: which one, and which it announces.
fn signed(by: &[(u8, &[u8])]) -> Vec<Value> {
    let mut last: Option<Checkpoint> = None;
    let mut all = Vec::new();
    for (place, (seed, announced)) in (0..).zip(by) {
        let end = End { length: 3, digest: Digest::sha256(b"end") };
        let ends = Ends { heads: vec![JobEnd { job: format!("job-{place}"), end }], refusals: Vec::new() };
        let (from, to) = (after(place), after(place + 1));
        let next = signer(*seed, announced).sign(last.as_ref(), &from, &to, to.minute, AuditHead::EMPTY, ends).unwrap();
        all.push(crate::json::kept(next.canonical()).unwrap());
        last = Some(next);
    }
    all
}

fn verify(all: &[Value], trusted: u8) -> Result<(), CheckpointFault> {
    let mut verifier = CheckpointVerifier::new(&[key(trusted).0]).unwrap();
    all.iter().try_for_each(|value| verifier.next(value).map(drop))
}

#[test]
fn what_was_signed_verifies_from_any_place_on() {
    let all = signed(&[(1, &[1][..]); 4]);
    for first in 0..4 {
        assert_eq!(verify(&all[first..], 1), Ok(()));
    }
}

#[test]
fn every_kind_of_tampering_is_named() {
    let tamper = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut all = signed(&[(1, &[1][..]); 4]);
        change(&mut all);
        verify(&all, 1).unwrap_err()
    };
    assert_eq!(tamper(&|all| all[1]["heads"][0]["length"] = json!(2)), CheckpointFault::Signature(2));
    assert_eq!(tamper(&|all| all[1]["extra"] = json!(2)), CheckpointFault::Signature(2));
    assert_eq!(tamper(&|all| drop(all.remove(1))), CheckpointFault::Misplaced { found: 3, expected: 2 });
    assert_eq!(tamper(&|all| all.swap(1, 2)), CheckpointFault::Misplaced { found: 3, expected: 2 });
    assert_eq!(tamper(&|all| all[2] = json!({"seq": 3})), CheckpointFault::Unreadable(3));
    // Signed with the right key, and not what was signed there before.
    assert_eq!(tamper(&|all| all[1] = signed(&[(1, &[1, 2][..]); 2])[1].clone()), CheckpointFault::Unlinked(2));
    let unknown = CheckpointFault::UnknownKey { seq: 2, kid: "k2".to_owned() };
    assert_eq!(tamper(&|all| all[1] = signed(&[(1, &[1]), (2, &[2])])[1].clone()), unknown);
}

#[test]
fn a_rotated_key_is_trusted_once_a_trusted_one_has_announced_it() {
    assert_eq!(verify(&signed(&[(1, &[1]), (1, &[1, 2]), (2, &[1, 2]), (2, &[2])]), 1), Ok(()));
    let unannounced = verify(&signed(&[(1, &[1]), (2, &[2])]), 1);
    assert_eq!(unannounced, Err(CheckpointFault::UnknownKey { seq: 2, kid: "k2".to_owned() }));
    // Another key under a trusted name is not trusted.
    let (mut other, pem) = key(3);
    other.kid = "k1".to_owned();
    let forger = CheckpointSigner::new("k1", &pem, vec![other]).unwrap();
    let forged = forger.sign(None, &after(0), &after(1), NOW, AuditHead::EMPTY, Ends::default()).unwrap();
    assert_eq!(verify(&[serde_json::to_value(forged).unwrap()], 1), Err(CheckpointFault::Signature(1)));
}

#[test]
fn a_position_is_a_minute_and_a_place_in_it() {
    let position = Position::at(NOW.plus(Duration::from_millis(61_234)));
    assert_eq!(position, after(1));
    assert_eq!(Position { after: Some("x".into()), ..position }.next_minute(), after(2));
}
