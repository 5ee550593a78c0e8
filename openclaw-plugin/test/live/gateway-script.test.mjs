import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/client.mjs";
import { freePort } from "../support/live.mjs";
import { temporaryFolder } from "../support/mini.mjs";

const SCRIPT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../scripts/openclaw/gateway.mjs");

/** The script in a folder of its own; `pid()` is the gateway's, once it has one. */
function run(t, args) {
  const folder = temporaryFolder("script");
  const files = ["--ledger", path.join(folder, "ledger.jsonl"), "--db", path.join(folder, "journal.db")];
  const child = spawn(process.execPath, [SCRIPT, "--dir", path.join(folder, "gateway"), ...files, ...args]);
  const seen = { child, folder, out: "", err: "" };
  child.stdout.on("data", (text) => (seen.out += text));
  child.stderr.on("data", (text) => (seen.err += text));
  seen.code = new Promise((resolve) => child.once("close", resolve));
  const starting = () => /"event":"starting","pid":(\d+)/.exec(seen.out);
  seen.pid = async () => Number((await until("the gateway has a process", starting))[1]);
  t.after(async () => {
    child.stdin.destroy();
    await seen.code;
    fs.rmSync(folder, { recursive: true, force: true });
  });
  return seen;
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const isGone = (pid) => until("the gateway is gone", () => !isAlive(pid), 20_000);

test("a port that is taken is refused in one sentence", async (t) => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await until("listening", () => taken.listening);
  const { port } = taken.address();
  const script = run(t, ["--port", String(port)]);
  assert.equal(await script.code, 1);
  assert.equal(script.err, `openclaw-gateway: port ${port} is taken; choose another one with --port\n`);
  assert.equal(script.out, "");
});

test("invalid arguments are refused in one sentence", async (t) => {
  const script = run(t, ["--port", "none"]);
  assert.equal(await script.code, 1);
  assert.equal(script.err, "openclaw-gateway: --port must be a port number\n");
});

test("a gateway that dies is reported with the end of its log", async (t) => {
  const script = run(t, ["--port", String(await freePort())]);
  process.kill(await script.pid(), "SIGKILL");
  assert.equal(await script.code, 1);
  assert.match(script.out, /"event":"exited","code":null,"signal":"SIGKILL"/);
  assert.match(script.err, /openclaw-gateway: the gateway ended before it was ready; the lines above are the end of /);
});

test("the gateway ends with the standard input of its script", async (t) => {
  const script = run(t, ["--port", String(await freePort())]);
  const pid = await script.pid();
  script.child.stdin.end();
  assert.equal(await script.code, 0);
  assert.ok(!isAlive(pid));
});

test("the gateway ends with a script that is asked to stop", async (t) => {
  const script = run(t, ["--port", String(await freePort())]);
  const pid = await script.pid();
  script.child.kill("SIGTERM");
  assert.equal(await script.code, 0);
  assert.ok(!isAlive(pid));
});

test("the gateway ends with a script that is killed", async (t) => {
  const script = run(t, ["--port", String(await freePort())]);
  const pid = await script.pid();
  script.child.kill("SIGKILL");
  await isGone(pid);
});

test("the token is private and stays the same", async (t) => {
  const script = run(t, ["--port", String(await freePort())]);
  await script.pid();
  const file = path.join(script.folder, "gateway/gateway.token");
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.match(fs.readFileSync(file, "utf8"), /^[0-9a-f]{48}$/);
  const before = fs.readFileSync(file, "utf8");
  script.child.stdin.end();
  await script.code;
  const args = [SCRIPT, "--dir", path.join(script.folder, "gateway"), "--port", String(await freePort())];
  const again = spawn(process.execPath, [...args, "--ledger", path.join(script.folder, "l"), "--no-journal"]);
  const code = new Promise((resolve) => again.once("close", resolve));
  again.stdin.end();
  assert.equal(await code, 0);
  assert.equal(fs.readFileSync(file, "utf8"), before);
});
