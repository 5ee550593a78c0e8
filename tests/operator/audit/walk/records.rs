//! Records: unchanged ones verify; changed, removed or moved ones are reported; expired ones may be missing.

use local::audit::{self as walk, Report, Scope, Source};
use serde_json::json;

use super::{Signed, record, text, with};

#[tokio::test]
async fn everything_one_user_one_job_and_a_copy_of_it_all_verify() {
    let signed = Signed::start().await;
    let all = signed.everything(true).await;
    assert_eq!((&all.faults, all.jobs, all.refusals, all.checkpoints), (&vec![], 2, 1, 3), "{all:?}");
    // Two jobs, one user's refusals, the operators' chain.
    assert_eq!(all.anchored, 4, "{all:?}");
    let user = signed.walk(&signed.table(), Scope::User(signed.user), true).await;
    assert_eq!((&user.faults, user.jobs, user.refusals, user.anchored), (&vec![], 1, 1, 2));
    let job = signed.walk(&signed.table(), Scope::Job(signed.user, signed.job.parse().unwrap()), true).await;
    assert_eq!((&job.faults, job.jobs, job.refusals, job.anchored), (&vec![], 1, 0, 1));
    let operators = signed.walk(&signed.table(), Scope::Operators, true).await;
    assert_eq!((&operators.faults, operators.jobs, operators.records), (&vec![], 0, 4));
    // Copied out, it says the same.
    let out = signed.app.secrets_file.with_file_name("export");
    walk::export(&signed.table(), &out).await.unwrap();
    let copy = signed.walk(&Source::Export(out.clone()), Scope::Everything, true).await;
    assert_eq!(Report { notes: vec![], ..copy }, Report { notes: vec![], ..all });
    assert!(walk::export(&signed.table(), &out).await.is_err(), "what is there is not mixed with what was");
}

#[tokio::test]
async fn what_is_changed_removed_or_moved_is_named_with_its_job() {
    let signed = Signed::start().await;
    let records = signed.job_records().await;
    let whole = [vec![], vec![]] as [Vec<String>; 2];
    assert_eq!(signed.found().await, whole);
    // Changed.
    let mut other = record(&records[1]);
    other["tool"] = json!("other");
    signed.put(&with(&records[1], "rec", text(other.to_string()))).await;
    let [plain, _] = signed.found().await;
    assert_eq!(plain, [format!("job {}: record 3 does not follow from record 2", signed.code)]);
    signed.put(&records[1]).await;
    // Removed.
    for place in [0, 1, 2] {
        signed.delete(&records[place]).await;
        let [plain, _] = signed.found().await;
        assert!(plain.len() == 1 && plain[0].contains(&signed.code), "{plain:?}");
        signed.put(&records[place]).await;
    }
    // Moved: each is where the other was.
    signed.put(&with(&records[0], "rec", records[1]["rec"].clone())).await;
    signed.put(&with(&records[1], "rec", records[0]["rec"].clone())).await;
    let [plain, _] = signed.found().await;
    assert!(plain.len() == 1 && plain[0].contains(&signed.code), "{plain:?}");
    signed.put(&records[0]).await;
    signed.put(&records[1]).await;
    // The side chains.
    for (pk, name) in [
        (signed.partition(), format!("refusals:{}", signed.user)),
        ("CHAIN#OPERATORS".to_owned(), "operators".to_owned()),
    ] {
        let records = signed.items(&pk, "R#").await;
        let n = records.len();
        let mut other = record(&records[n - 2]);
        other["actor"] = json!("alarm:x");
        signed.put(&with(&records[n - 2], "rec", text(other.to_string()))).await;
        let [plain, _] = signed.found().await;
        assert_eq!(plain, [format!("chain {name}: record {n} does not follow from record {}", n - 1)]);
        signed.put(&records[n - 2]).await;
        signed.delete(&records[n - 2]).await;
        let [plain, _] = signed.found().await;
        assert_eq!(plain, [format!("chain {name}: record {} is not the one that belongs there", n - 1)]);
        signed.put(&records[n - 2]).await;
        signed.delete(&records[n - 1]).await;
        let [plain, _] = signed.found().await;
        assert!(plain.len() == 1 && plain[0].contains("does not end in its head"), "{plain:?}");
        signed.put(&records[n - 1]).await;
    }
    assert_eq!(signed.found().await, whole);
}

#[tokio::test]
async fn a_chain_of_an_earlier_version_which_kept_its_first_record_by_itself_verifies() {
    let signed = Signed::start().await;
    let payload = signed.job_records().await.remove(0);
    let digest = payload["rd"].as_s().unwrap();
    let mut apart = with(&payload, "sk", text(format!("A#{}#00001#{digest}", signed.job)));
    let mut alone = payload.clone();
    for name in ["key", "calls", "rd"] {
        apart.remove(name);
    }
    for name in ["rec", "rd"] {
        alone.remove(name);
    }
    signed.put(&alone).await;
    assert!(!signed.everything(false).await.faults.is_empty(), "its first record is missing");
    signed.put(&apart).await;
    assert_eq!(signed.found().await, [vec![], vec![]] as [Vec<String>; 2]);
}

#[tokio::test]
async fn the_chains_of_one_user_are_verified_without_a_scan_of_the_table() {
    let signed = Signed::start().await;
    let counted = Source::Table(signed.app.worker.table().clone());
    signed.app.faults.none();
    let report = signed.walk(&counted, Scope::User(signed.user), false).await;
    assert_eq!((&report.faults, report.jobs, report.refusals), (&vec![], 1, 1));
    let seen = signed.app.faults.seen();
    assert!(
        seen.iter().any(|operation| operation == "Query") && !seen.iter().any(|operation| operation == "Scan"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn refusals_end_with_the_retention_and_what_is_left_still_verifies() {
    let signed = Signed::start().await;
    let first = signed.items(&signed.partition(), "R#").await.remove(0);
    // As DynamoDB does when its time has come.
    signed.delete(&first).await;
    let report = signed.walk(&signed.table(), Scope::User(signed.user), true).await;
    assert_eq!(report.faults, [""; 0]);
    assert!(report.notes.iter().any(|note| note.contains("begins at record 2")), "{report:?}");
    let newest = signed.app.inspect().table().refusals_of(signed.user).await.unwrap();
    assert_eq!((newest.records.len(), newest.head.length), (2, 3));
}
