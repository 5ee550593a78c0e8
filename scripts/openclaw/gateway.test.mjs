// Tests of gateway.mjs, with a fake gateway that a test controls.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { freePort } from "../../openclaw-plugin/test/support/live.mjs";
import { temporaryFolder } from "../../openclaw-plugin/test/support/mini.mjs";

const SCRIPTS = import.meta.dirname;
const OUT_OF_TIME = "OpenClaw startup migrations did not complete cleanly; refusing to report the gateway ready.";

/** A gateway that fails with `sentence` the given number of times, then answers. */
const gateway = (failures, sentence) => `
import fs from "node:fs";
import http from "node:http";
const starts = Number(fs.existsSync("starts") && fs.readFileSync("starts", "utf8"));
fs.writeFileSync("starts", String(starts + 1));
if (starts < ${failures}) {
  console.error(${JSON.stringify(sentence)});
  process.exit(1);
}
const { gateway } = JSON.parse(fs.readFileSync(process.env.OPENCLAW_CONFIG_PATH, "utf8"));
http.createServer((_, res) => res.end("{}")).listen(gateway.port, "127.0.0.1");
`;

/** A checkout with the scripts and the fake gateway; its script runs until it has printed the event `last`. */
async function run(t, failures, sentence, last) {
  const root = temporaryFolder("gateway-script");
  t.after(() => fs.rmSync(root, { recursive: true, force: true }));
  fs.cpSync(SCRIPTS, path.join(root, "scripts/openclaw"), { recursive: true });
  const openclaw = path.join(root, ".local/openclaw/app/node_modules/openclaw/openclaw.mjs");
  fs.mkdirSync(path.dirname(openclaw), { recursive: true });
  fs.writeFileSync(openclaw, gateway(failures, sentence));
  fs.mkdirSync(path.join(root, ".local/openclaw/bin"));
  fs.symlinkSync(process.execPath, path.join(root, ".local/openclaw/bin/node"));
  const args = ["--dir", path.join(root, "run"), "--port", String(await freePort()), "--ledger", path.join(root, "l"), "--no-journal"];
  const child = spawn(process.execPath, [path.join(root, "scripts/openclaw/gateway.mjs"), ...args]);
  let [out, err] = ["", ""];
  child.stderr.on("data", (text) => (err += text));
  child.stdout.on("data", (text) => {
    out += text;
    if (out.includes(`"event":"${last}"`)) child.stdin.end();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, err, events: out.trim().split("\n").map((line) => JSON.parse(line)) };
}

test("a gateway that runs out of time in its own start is started again, and that is said", async (t) => {
  const { code, err, events } = await run(t, 2, OUT_OF_TIME, "ready");
  assert.deepEqual(events.map(({ event }) => event), ["starting", "starting", "starting", "ready", "exited"]);
  assert.equal(new Set(events.slice(0, 3).map(({ pid }) => pid)).size, 3, "each start tells its process");
  assert.equal(code, 0);
  assert.equal(err.split("starting it again").length - 1, 2);
});

test("a fourth start is not attempted", async (t) => {
  const { code, err, events } = await run(t, 3, OUT_OF_TIME, "exited");
  assert.deepEqual(events.map(({ event }) => event), ["starting", "starting", "starting", "exited"]);
  assert.equal(code, 1);
  assert.match(err, /migrations did not complete cleanly[^]*the gateway ended before it was ready/);
});

test("a gateway that ends for another reason is not started again", async (t) => {
  const { code, events } = await run(t, 1, "Config invalid", "exited");
  assert.deepEqual(events.map(({ event }) => event), ["starting", "exited"]);
  assert.equal(code, 1);
});
