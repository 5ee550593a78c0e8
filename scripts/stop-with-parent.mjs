// Loaded into the gateway with `--import`: it must not outlive the script that started it, however that script ended.
import { isMainThread } from "node:worker_threads";

const CHECK_MS = 500;
const GRACE_MS = 15_000;
const parent = process.ppid;

function check() {
  if (process.ppid === parent) return;
  clearInterval(timer);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE_MS).unref();
  process.kill(process.pid, "SIGTERM");
}

const timer = isMainThread ? setInterval(check, CHECK_MS).unref() : undefined;
