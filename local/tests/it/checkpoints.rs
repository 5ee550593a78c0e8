//! `local checkpoints keep`, as a process.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use local::host::service::{Options, Service};
use platform::runtime::{Clock, System};

use super::directory;

/// A checkpoint that was exported so many days ago.
fn export(folder: &Path, seq: u64, days_ago: u64) {
    let file = File::create(folder.join(format!("{seq:012}.json"))).unwrap();
    let now = Duration::from_millis(System.now().millis().unsigned_abs());
    file.set_modified(SystemTime::UNIX_EPOCH + now - Duration::from_secs(days_ago * 86_400)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn new_checkpoints_are_copied_and_old_ones_deleted_only_once_they_are_copied() {
    let root = directory("checkpoints");
    let (data, folder, away) = (root.join("data"), root.join("data/checkpoints"), root.join("away"));
    let service = Service::start(Options::dev(data.clone(), "http://127.0.0.1:9".to_owned(), "no-token".to_owned()));
    service.await.unwrap().stop().await;
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let config = root.join("config.toml");
    let write = |command: &str| {
        let text = format!(
            "[server]\ndata = \"{}\"\n[wechat]\napp_id = \"wx0123456789abcdef\"\n\
             [checkpoints]\nkeep_days = 30\ncopy_command = '{command}'\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
    };
    let keep = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["checkpoints", "keep", "--config"]).arg(&config).arg("--mark").arg(root.join("copied"));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (seq, days_ago) in [(1, 50), (2, 40), (3, 1)] {
        export(&folder, seq, days_ago);
    }
    fs::write(folder.join("notes.json"), "a person's own").unwrap();
    write("exit 3");
    let (ok, said) = keep();
    assert!(!ok && said.contains("exit status: 3") && names(&folder).len() == 4, "{said}");
    let copies = format!("mkdir -p {0}; cp -n \"$CHECKPOINT_DIR\"/*.json {0}", away.display());
    write(&copies);
    assert_eq!(keep(), (true, "copied\ndeleted: 2\n".to_owned()));
    assert_eq!(names(&folder), ["000000000003.json", "notes.json"]);
    assert_eq!(names(&away).len(), 4);
    write("exit 3");
    assert_eq!(keep(), (true, String::new()), "nothing is new, so nothing is copied");
    export(&folder, 4, 0);
    assert!(!keep().0);

    // After a restore the numbers are lower than those that were copied.
    fs::write(root.join("copied"), "000000000900.json\n").unwrap();
    export(&folder, 2, 45);
    assert!(!keep().0 && names(&folder).contains(&"000000000002.json".to_owned()), "not deleted before it is copied");
    write(&copies.replace("cp -n", "cp"));
    assert_eq!(keep(), (true, "copied\ndeleted: 1\n".to_owned()));
    assert!(names(&away).contains(&"000000000004.json".to_owned()));
    assert_eq!(keep(), (true, String::new()));
}
