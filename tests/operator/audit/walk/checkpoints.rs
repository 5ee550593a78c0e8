//! Checkpoints reveal a rewritten chain whose links are consistent, and manipulations of the checkpoints themselves.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{audit::AuditHead, ids::Digest, json::canonical};
use platform::runtime::{Clock, Runtime};
use serde_json::{Value, json};

use super::{Signed, head_of, record, runtime, text, with};

#[tokio::test]
async fn a_chain_that_was_cut_or_written_anew_fits_in_itself_and_not_the_checkpoints() {
    let signed = Signed::start().await;
    let (job, records) = (signed.job_item().await, signed.job_records().await);
    // Cut: the head names the record before.
    let before: Digest = record(&records[2])["prev"].as_str().unwrap().to_owned().try_into().unwrap();
    signed.put(&with(&job, "au", head_of(2, before))).await;
    let found = signed.betrayed("was cut").await;
    assert!(found.contains(&signed.code), "{found}");
    // Written anew, with links that fit: it never failed, it was another tool.
    let mut head = AuditHead::EMPTY;
    for item in &records {
        let mut record = record(item);
        record["tool"] = json!("ledger_read");
        record["prev"] = json!(head.digest.to_string());
        let bytes = canonical::canonical(&record);
        head = AuditHead { length: head.length + 1, digest: Digest::sha256(&bytes) };
        let sk = format!("A#{}#{:05}#{}", signed.job, head.length, head.digest);
        let mut item = item.clone();
        item.remove("rd");
        let item = &item;
        signed.put(&with(&with(item, "rec", text(String::from_utf8(bytes).unwrap())), "sk", text(sk))).await;
    }
    signed.put(&with(&job, "au", head_of(head.length, head.digest))).await;
    let found = signed.betrayed("written anew").await;
    assert!(found.contains(&signed.code), "{found}");
    // Said to be of a version that this one does not understand.
    signed.put(&with(&job, "v", AttributeValue::N("99".into()))).await;
    let found = signed.betrayed("newer version").await;
    assert!(found.contains(&signed.code), "{found}");
    // Gone altogether.
    signed.delete(&job).await;
    let found = signed.betrayed("missing").await;
    assert!(found.contains(&signed.code), "{found}");
    signed.put(&job).await;
    // The side chains, cut.
    for pk in [signed.partition(), "CHAIN#OPERATORS".to_owned()] {
        let head = signed.items(&pk, "RH").await.pop().unwrap();
        let records = signed.items(&pk, "R#").await;
        let (length, before) = (records.len() - 1, record(records.last().unwrap()));
        let cut = with(&head, "n", AttributeValue::N(length.to_string()));
        let cut = with(&cut, "h", text(before["prev"].as_str().unwrap()));
        signed.put(&cut).await;
        signed.betrayed("was cut").await;
        signed.put(&head).await;
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_changed_removed_moved_or_strangely_signed_is_named() {
    let signed = Signed::start().await;
    let directory = signed.app.deployment.checkpoints();
    let file = |seq: u64| directory.join(format!("{seq:012}.json"));
    let kept: Vec<Vec<u8>> = (1..=3).map(|seq| std::fs::read(file(seq)).unwrap()).collect();
    let restore = || (1..).zip(&kept).for_each(|(seq, bytes)| std::fs::write(file(seq), bytes).unwrap());
    let found = async |expected: &str| {
        let [plain, faults] = signed.found().await;
        assert_eq!(plain, [""; 0]);
        assert!(!faults.is_empty() && faults[0].contains(expected), "{expected}: {faults:?}");
        restore();
    };
    std::fs::write(file(2), String::from_utf8(kept[1].clone()).unwrap().replace("\"v\":1", "\"v\":2")).unwrap();
    found("the signature of checkpoint 2").await;
    std::fs::remove_file(file(2)).unwrap();
    found("checkpoint 3 stands where 2 belongs").await;
    std::fs::remove_file(file(3)).unwrap();
    found("checkpoint 3 was exported and is not in the directory").await;
    std::fs::write(file(1), &kept[1]).unwrap();
    std::fs::write(file(2), &kept[0]).unwrap();
    found("000000000001.json holds checkpoint 2").await;
    for seq in 1..=3 {
        std::fs::remove_file(file(seq)).unwrap();
    }
    found("there is no checkpoint").await;
    // An attacker who can write table and directory, but has no key, signs everything anew.
    let mut secrets: Value = serde_json::from_slice(&std::fs::read(&signed.app.secrets_file).unwrap()).unwrap();
    let ours = secrets.clone();
    let key = local::secrets::session_key(&Runtime::system()).unwrap();
    secrets["checkpoints"] = json!({ "active": key["kid"], "keys": [key] });
    let trusted = signed.key();
    std::fs::write(&signed.app.secrets_file, secrets.to_string()).unwrap();
    let mut config = signed.app.deployment.sweep();
    config.checkpoint_every = Duration::ZERO;
    let forger = sweep::Sweep::new(config, runtime(&signed.app)).unwrap();
    forger.run(signed.app.clock.now().plus(Duration::from_secs(30))).await.unwrap();
    std::fs::write(&signed.app.secrets_file, ours.to_string()).unwrap();
    assert_eq!(signed.key(), trusted);
    let [_, faults] = signed.found().await;
    assert!(faults.len() == 1 && faults[0].contains("neither among the keys"), "{faults:?}");
    std::fs::remove_file(file(4)).unwrap();
    // The table's own copy.
    let item = signed.items("CHECKPOINTS", "000000000004").await.pop().unwrap();
    signed.delete(&item).await;
    let item = signed.items("CHECKPOINTS", "000000000003").await.pop().unwrap();
    signed.delete(&item).await;
    found("is not in the table any more").await;
}
