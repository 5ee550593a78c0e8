//! The gateway of an earlier run. After a `kill -9` of the service it finishes its calls before it ends, which takes up
//! to 15 seconds. Until then it holds its directory, and a second gateway would refuse to start there.

use std::{path::Path, time::Duration};

use tokio::process::Command;

/// The gateway's script kills it earlier.
const WAIT_LIMIT: Duration = Duration::from_secs(25);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Stores the id of the process that owns a gateway directory.
pub(crate) fn remember(directory: &Path, pid: u32) {
    // If this fails, the gateway itself refuses the next start while the old process is still running.
    let _ = std::fs::write(directory.join("gateway.pid"), pid.to_string());
}

/// Waits until the gateway that last owned this directory has ended, and kills it after a time limit.
pub(crate) async fn wait_until_gone(directory: &Path) -> std::io::Result<()> {
    let known = std::fs::read_to_string(directory.join("gateway.pid")).ok().and_then(|text| text.trim().parse().ok());
    let Some(pid) = known else { return Ok(()) };
    let gone = async {
        while owns(pid, directory).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if owns(pid, directory).await {
        eprintln!("Waiting for the gateway of an earlier run to finish its calls ...");
        if tokio::time::timeout(WAIT_LIMIT, gone).await.is_err() {
            kill(pid).await?;
        }
    }
    Ok(())
}

/// Kills a process with `SIGKILL`.
pub(crate) async fn kill(pid: u32) -> std::io::Result<()> {
    // The shell's built-in `kill`, so that no other program need be installed.
    Command::new("/bin/sh").args(["-c", "kill -9 \"$0\"", &pid.to_string()]).status().await.map(drop)
}

/// Whether the process is a gateway that works in this directory. Process ids are reused, so an id alone proves
/// nothing.
async fn owns(pid: u32, directory: &Path) -> bool {
    if Path::new("/proc/self").exists() {
        let works_in = std::fs::read_link(format!("/proc/{pid}/cwd"));
        return works_in.is_ok_and(|path| directory.canonicalize().is_ok_and(|directory| directory == path));
    }
    let listed = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().await;
    listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains("openclaw"))
}
