// Against the real gateway: .local/openclaw/bin/node --test openclaw-plugin/test/live/*.test.mjs (five to ten minutes)
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { bareClaims, claims } from "../support/claims/index.mjs";
import { until } from "../support/client.mjs";
import { Live, startModel } from "../support/live.mjs";

// With these as reads, agents can start child runs and fetch pages. The model accepts images from then on.
const MORE_READS = ["--reads", "ledger_read,sessions_spawn,web_fetch", "--model-sees"];
const PROPOSALS = "SELECT run, call, tool, args, decision FROM proposals WHERE session = ?";
const model = await startModel({ after });
const gateway = await Live.create({ after }, { modelUrl: model });

/** The responses to every journal call until the gateway was ready. */
async function answersWhileStarting() {
  const seen = new Set();
  let ready = false;
  const start = gateway.ready().then(() => (ready = true));
  await until("the gateway is ready", async () => {
    const { status } = await gateway.health().catch(() => ({ status: "refused" }));
    seen.add(status);
    return ready && status === 200;
  }, 200_000);
  await start;
  return seen;
}

test("a gateway that starts never answers that the journal is absent", async () => {
  await gateway.launch();
  const seen = await answersWhileStarting();
  assert.ok(seen.has("refused") && seen.has(200));
  for (const status of seen) assert.ok(["refused", 200, 503].includes(status), `answered ${status}`);
});

for (const [name, claim] of Object.entries(claims)) test(name, () => claim(gateway));

test("a write in an agent run does not run and becomes a proposal", async () => {
  const session = "agent:main:wx:veto";
  const { status, reply } = await gateway.turn('[[tool:ledger_append {"note":"from a model"}]]', session);
  assert.equal(status, 200);
  assert.match(reply, /miniprogram-journal: proposal_recorded/);
  assert.equal(gateway.lines().filter((line) => line.note === "from a model").length, 0);
  const [row, ...others] = gateway.rows(PROPOSALS, session);
  assert.deepEqual(others, []);
  assert.deepEqual([row.tool, row.args, row.decision], ["ledger_append", '{"note":"from a model"}', "proposed"]);
  assert.ok(row.run && row.call);
});

test("a listed read passes in an agent run and is recorded", async () => {
  const session = "agent:main:wx:read";
  const { status, reply } = await gateway.turn('[[tool:ledger_read {"limit":1}]]', session);
  assert.equal(status, 200);
  assert.match(reply, /^tool said: .*"total"/s);
  assert.deepEqual(gateway.rows(PROPOSALS, session).map(({ tool, decision }) => [tool, decision]),
    [["ledger_read", "allowed"]]);
});

test("a core tool does not run inside an agent run", async () => {
  const target = `${gateway.folder}/written-by-a-model`;
  const command = JSON.stringify({ command: `touch ${target}` });
  for (const [tool, args] of [["exec", command], ["session_status", "{}"]]) {
    const session = `agent:main:wx:core-${tool.replaceAll("_", "-")}`;
    const { reply } = await gateway.turn(`[[tool:${tool} ${args}]]`, session);
    assert.match(reply, /miniprogram-journal: proposal_recorded/, tool);
    assert.deepEqual(gateway.rows(PROPOSALS, session).map((row) => [row.tool, row.decision]), [[tool, "proposed"]]);
  }
  assert.ok(!fs.existsSync(target));
});

test("a model is offered the demo tools and not the guard probe's tool", async () => {
  await gateway.turn("[[say:which tools?]]", "agent:main:wx:tools");
  const { tools } = (await (await fetch(`${model}/requests`)).json()).at(-1);
  assert.ok(tools.includes("ledger_append"));
  assert.ok(!tools.includes("miniprogram_canary"));
});

test("the tool guard permits a turn without tools", async () => {
  const { status, reply } = await gateway.turn("[[say:good morning]]", "agent:main:wx:say");
  assert.deepEqual([status, reply], [200, "good morning"]);
});

test("a run in one of the plugin's sessions without an open turn may call no tool", async () => {
  const session = gateway.session();
  for (const call of ["ledger_read {}", 'ledger_append {"note":"from a model"}']) {
    assert.match((await gateway.turn(`[[tool:${call}]]`, session)).reply, /miniprogram-journal: not_allowed/);
  }
  const rows = gateway.rows("SELECT turn, decision FROM proposals WHERE session = ?", session);
  assert.deepEqual(rows.map(({ turn, decision }) => [turn, decision]), Array(2).fill([null, "vetoed"]));
  assert.ok(gateway.lines().every(({ note }) => note !== "from a model"));
});

test("texts of users, agents and tools are in no log of the gateway", async () => {
  const [asked, said, noted] = ["asked", "said", "noted"].map((what) => `a sentence that was ${what}`);
  await gateway.append(gateway.key(), { args: { note: noted } });
  const end = await gateway.turnEnd(`[[tool:ledger_read {"limit":1}]] [[say:${said}]] ${asked}`);
  assert.equal(end.reply, said);
  await gateway.turn(`[[tool:ledger_read {"limit":1}]] ${asked}`, "agent:main:wx:logs");
  const logs = gateway.logs();
  assert.ok(logs.length > 0);
  for (const text of [asked, said, noted]) assert.ok(!logs.includes(text), text);
});

test("the gateway's own backup holds a journal that opens alone and is complete", async () => {
  const key = gateway.key();
  const { journal } = (await gateway.append(key)).body;
  const archive = path.join(gateway.folder, "backup.tar.gz");
  const options = ["--output", archive, "--no-include-workspace", "--verify", "--json"];
  assert.equal(JSON.parse(await gateway.openclaw("backup", "create", ...options)).verified, true);
  const names = execFileSync("tar", ["tzf", archive], { encoding: "utf8" }).split("\n");
  const [file, ...others] = names.filter((name) => name.includes("/journal.sqlite"));
  assert.deepEqual(others, [], "no other file is next to it");
  const [restored, into] = [path.join(gateway.folder, "restored"), path.join(gateway.folder, "restored.sqlite")];
  fs.mkdirSync(restored);
  execFileSync("tar", ["xzf", archive, "-C", restored, file]);
  fs.copyFileSync(path.join(restored, file), into);
  const copy = new DatabaseSync(into, { readOnly: true });
  const count = "SELECT count(*) AS rows FROM";
  for (const table of ["calls", "turns", "proposals"]) {
    assert.deepEqual(copy.prepare(`${count} ${table}`).all(), gateway.rows(`${count} ${table}`), table);
  }
  assert.equal(copy.prepare("SELECT state FROM calls WHERE key = ?").get(key).state, "finished");
  assert.equal(copy.prepare("SELECT value FROM meta WHERE name = 'journal'").get().value, journal);
  copy.close();
});

// Before the power cut: after one, the gateway may wait a minute or more for runs that it still considers active.
test("a gateway that receives SIGTERM finishes running calls, starts no new ones, and keeps their outcomes", async () => {
  const [waited, sent, late] = [gateway.key(), gateway.key(), gateway.key()];
  const answer = gateway.sleep(waited, 3000);
  await gateway.sleep(sent, 3000, { wait: false });
  await Promise.all([gateway.started(waited), gateway.started(sent)]);
  gateway.script.stdin.end();
  const refusal = await until("the gateway is draining", async () => {
    const { status, headers, body } = await gateway.append(late, { not_after: 1 });
    return status !== 200 && { status, retryAfter: headers.get("retry-after"), code: body.error.code };
  });
  assert.deepEqual(refusal, { status: 503, retryAfter: "1", code: "gateway_unavailable" });
  assert.equal((await answer).body.entry.state, "finished");
  assert.equal((await gateway.over()).code, 0);
  await gateway.start();
  for (const key of [waited, sent]) {
    const { entry } = (await gateway.outcome(key)).body;
    assert.deepEqual([entry.state, entry.status], ["finished", 200]);
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  }
  assert.deepEqual(gateway.effects(late), []);
});

/** Running turns: one in the model's call, one between a tool and the reply. */
async function turnsAtWork() {
  const append = '[[tool:ledger_append {"note":"from a model"}]]';
  const messages = [`[[sleep:8]] ${append} [[say:1]]`, `[[tool:ledger_read {}]] ${append} [[pause:8]] [[say:2]]`];
  const open = messages.map((message) => ({ key: gateway.key(), session: gateway.session(), message }));
  for (const { key, session, message } of open) await gateway.startTurn(key, message, { session, timeout_ms: 600_000 });
  await gateway.turnShows(open[1].key, "its proposal", ({ calls }) => calls.length === 2);
  return open;
}

/** An interrupted turn is resumed or abandoned by the gateway, but not sent again, and its conversation continues. */
async function endAfterAll({ key, session, message }) {
  const { status, body } = await gateway.startTurn(key, message, { session });
  assert.ok([200, 202, 410].includes(status) && body.entry.resumed, `${status}`);
  const end = await gateway.concluded(key, 120_000);
  assert.ok(end.state === "finished" || end.error === "turn_lost", `${end.state}: ${end.error}`);
  assert.equal(end.calls.filter(({ tool }) => tool === "ledger_append").length <= 1, true);
  const path = `/sessions/${encodeURIComponent(session)}/history?limit=100`;
  const { messages } = (await gateway.request("GET", path)).body;
  const told = JSON.stringify(message).slice(1, -1);
  const isTold = (one) => one.role === "user" && JSON.stringify(one.content).includes(told);
  assert.equal(messages.filter(isTold).length, 1);
  assert.match((await gateway.turnEnd("[[remember]]", { session })).reply ?? "", / before: /);
}

test("after a power cut what ran is known, what was running is interrupted, and nothing runs twice", async () => {
  const [done, waited, sent, revoked] = [gateway.key(), gateway.key(), gateway.key(), gateway.key()];
  const before = (await gateway.append(done)).body;
  await gateway.revoke(revoked);
  const lost = assert.rejects(gateway.sleep(waited, 60_000));
  const { sequence } = (await gateway.sleep(sent, 60_000, { wait: false })).body;
  await Promise.all([gateway.started(waited), gateway.started(sent)]);
  const open = await turnsAtWork();
  await gateway.kill();
  await lost;
  await gateway.start();
  const expected = { journal: before.journal, sequence };
  const after = await gateway.append(done, expected);
  assert.equal(after.status, 200);
  assert.deepEqual(after.body.entry, { ...before.entry, replayed: true });
  assert.notEqual(after.body.boot, before.boot);
  for (const key of [waited, sent]) {
    const { status, body } = await gateway.sleep(key, 60_000, expected);
    assert.deepEqual([status, body.entry.state, body.entry.replayed], [410, "interrupted", true]);
    assert.equal((await gateway.outcome(key)).body.entry.state, "interrupted");
    assert.deepEqual(gateway.effects(key), ["sleep_start"]);
  }
  assert.equal((await gateway.append(revoked)).body.entry.state, "revoked");
  assert.deepEqual(gateway.effects(done), ["append"]);
  assert.deepEqual(gateway.effects(revoked), []);
  for (const turn of open) await endAfterAll(turn);
  assert.ok(gateway.lines().every(({ note }) => note !== "from a model"));
});

test("a restored snapshot becomes another journal before it answers", async () => {
  const key = gateway.key();
  gateway.snapshot();
  const { journal, sequence } = (await gateway.append(key)).body;
  await gateway.stop();
  gateway.restoreSnapshot();
  await gateway.start(...MORE_READS); // for the tests behind this one
  assert.equal((await gateway.health()).body.journal, journal);
  const { status, body } = await gateway.append(key, { journal, sequence });
  assert.deepEqual([status, body.error.type], [412, "other_journal"]);
  assert.notEqual(body.journal, journal);
  assert.equal((await gateway.append(key, { journal, sequence: 0 })).status, 412);
  assert.equal((await gateway.outcome(key, { journal: body.journal, sequence: body.sequence })).body.entry, null);
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a turn that may fetch pages cannot fetch pages of the gateway's machine or network", async () => {
  const fetching = (url) => `[[tool:web_fetch ${JSON.stringify({ url })}]]`;
  const own = `http://127.0.0.1:${gateway.port}/tools/invoke`;
  const inside = [own, "http://0x7f.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/"];
  const message = [...inside, "https://nowhere.invalid/"].map(fetching).join(" ");
  const end = await gateway.turnEnd(`${message} [[say:done]]`, { tools: ["ledger_read", "web_fetch"] });
  assert.deepEqual(end.calls.map(({ tool, decision, failed }) => [tool, decision, failed]),
    [...inside.map(() => ["web_fetch", "vetoed", null]), ["web_fetch", "allowed", true]]);
  const { reply } = await gateway.turn(fetching(own), "agent:main:wx:fetch");
  assert.match(reply, /miniprogram-journal: not_allowed/);
});

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test("a path in a message does not show a vision model a file of the gateway's machine", async () => {
  const file = path.join(gateway.folder, "gateway/workspace/inside.png");
  fs.writeFileSync(file, Buffer.from(PNG, "base64"));
  const images = async () => (await (await fetch(`${model}/requests`)).json()).at(-1).images;
  await gateway.turn("[[say:seen]] ./inside.png", "agent:main:wx:image");
  assert.equal(await images(), 1, "the gateway opens none by itself any more: this test proves nothing");
  for (const path of ["./inside.png", file, `MEDIA: ${file}`, `file://${file}`, `"${file}"`, `[media attached: x]${file}`]) {
    const end = await gateway.turnEnd(`[[say:not seen]] ${path}`);
    assert.deepEqual([end.reply, await images()], ["not seen", 0], path);
  }
});

const APPEND = '[[tool:ledger_append {"note":"from a child"}]]';
const TASK = `${APPEND} [[tool:ledger_read {}]] [[tool:exec {"command":"true"}]]`;
const spawning = (task) => `[[tool:sessions_spawn ${JSON.stringify({ task })}]]`;

/** What the next child calls: a write, a read, and something else. `make` has it made. */
async function callsOfAChild(make) {
  const sql = "SELECT turn, tool, decision FROM proposals WHERE session LIKE 'agent:main:subagent:%' ORDER BY rowid";
  const before = gateway.rows(sql).length;
  const made = await make();
  const calls = await until("the child has called its tools", () => {
    const rows = gateway.rows(sql).slice(before);
    return rows.length >= 3 && rows.map(({ turn, tool, decision }) => [turn, tool, decision]);
  }, 60_000);
  return { made, calls };
}

const READS_ONLY = [[null, "ledger_append", "proposed"], [null, "ledger_read", "allowed"], [null, "exec", "proposed"]];
const assertNothingWritten = () => assert.ok(gateway.lines().every(({ note }) => note !== "from a child"));

test("the child of a run that is not a turn may call reads only", async () => {
  const message = `${spawning(`${TASK} [[say:done]]`)} [[say:spawned]]`;
  const { calls } = await callsOfAChild(() => gateway.turn(message, "agent:main:wx:parent"));
  assert.deepEqual(calls, READS_ONLY);
  assertNothingWritten();
});

test("a turn cannot start a child run, even if that tool is listed as a read", async () => {
  const children = "SELECT count(DISTINCT session) AS count FROM proposals WHERE session LIKE 'agent:main:subagent:%'";
  const before = gateway.rows(children);
  const turn = { session: gateway.session(), tools: ["ledger_read", "sessions_spawn"] };
  const end = await gateway.turnEnd(`${spawning(`${TASK} [[say:done]]`)} [[say:not spawned]]`, turn);
  const calls = end.calls.map(({ tool, decision }) => [tool, decision]);
  assert.deepEqual([end.reply, calls], ["not spawned", [["sessions_spawn", "proposed"]]]);
  await pause(5000);
  assert.deepEqual(gateway.rows(children), before);
  assertNothingWritten();
});

test("a journal that cannot be opened blocks every guarded tool", async () => {
  await gateway.stop();
  await gateway.start("--db", `${gateway.ledger}/journal.db`);
  const key = gateway.key();
  const health = await gateway.health();
  assert.deepEqual([health.status, health.body.error.type], [503, "journal_unavailable"]);
  assert.deepEqual([health.body.journal, health.body.sequence], [null, null]);
  assert.equal((await gateway.append(key)).status, 503);
  assert.equal((await gateway.direct({ tool: "ledger_append", args: { note: "x" }, idempotencyKey: key })).status, 403);
  assert.deepEqual(gateway.effects(key), []);
  const { reply } = await gateway.turn("[[tool:ledger_read {}]]", "agent:main:wx:no-journal");
  assert.match(reply, /miniprogram-journal: journal_unavailable/);
});

test("the gateway starts without the journal", async () => {
  await gateway.stop();
  await gateway.start("--no-journal");
});

for (const [name, claim] of Object.entries(bareClaims)) test(name, () => claim(gateway));
