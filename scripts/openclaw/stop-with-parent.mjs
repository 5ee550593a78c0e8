// Loaded into the gateway with `--import`: stops it when the script that started it has ended, for any reason.
import { isMainThread } from "node:worker_threads";

const CHECK_MS = 500;
const GRACE_MS = 15_000;
// The parent may be gone before this line runs, so it has left its id. The gateway's own children have another parent.
const parent = Number(process.env.STOP_WITH_PARENT ?? process.ppid);
delete process.env.STOP_WITH_PARENT;

function check() {
  if (process.ppid === parent) return;
  clearInterval(timer);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE_MS).unref();
  process.kill(process.pid, "SIGTERM");
}

const timer = isMainThread ? setInterval(check, CHECK_MS).unref() : undefined;
