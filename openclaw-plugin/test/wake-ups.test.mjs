// The webhook reports progress. A report is never early, no turn depends on it, and it goes to the configured URL alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { until } from "./support/client.mjs";
import { Listener } from "./support/listener.mjs";
import { Mini } from "./support/mini.mjs";

const STATE = "SELECT calls.state, turns.ring FROM calls JOIN turns USING(key) WHERE key = ?";
const SLEEPS = ["--reads", "ledger_read,ledger_sleep", "--guard", "ledger_append"];

/** A gateway that reports to a listener. */
async function pair(t, args = []) {
  const listener = await Listener.start(t);
  const gateway = await Mini.start(t, { args: ["--ring-url", listener.url, ...args] });
  return { listener, gateway };
}

/** A gateway that has delivered a report before, so that `rings` is true. */
async function heardPair(t, args) {
  const { listener, gateway } = await pair(t, args);
  const open = await begin(gateway, "[[sleep:60]]", { ring: "open" });
  await acceptedAgain(gateway, open, "first");
  await gateway.abort(open);
  await listener.reported("open");
  listener.reports = [];
  return { listener, gateway };
}

/** Waits until an open turn says that reports are accepted. */
async function acceptedAgain(gateway, open, ring) {
  await gateway.turnEnd("[[say:a]]", { ring });
  await reportsAre(gateway, open, true);
}

/** Starts a turn and returns its key. */
async function begin(gateway, message, more) {
  const key = gateway.key();
  const { status, body } = await gateway.startTurn(key, message, more);
  assert.equal(status, 202, JSON.stringify(body));
  return key;
}

const entryOf = async (gateway, key) => (await gateway.outcome(key)).body.entry;
const reportsAre = (gateway, key, value) =>
  until(`rings is ${value}`, async () => (await entryOf(gateway, key)).rings === value, 20_000);

/** The row of a turn in the file at the moment of the report. */
const watch = (listener, gateway, key) => (listener.seen = () => gateway.rows(STATE, key)[0]);

test("the end of a turn is reported once it is on disk, once, with the wake-up token and nothing else", async (t) => {
  const { listener, gateway } = await heardPair(t);
  const ring = "u-1.r_2.~3.".padEnd(200, "x");
  const key = gateway.key();
  watch(listener, gateway, key);
  const { body } = await gateway.startTurn(key, "[[say:private]]", { ring });
  assert.equal(body.entry.rings, true);
  const [report] = await listener.reported(ring);
  assert.deepEqual({ ...report.seen }, { state: "finished", ring: null });
  const { method, path, headers } = report;
  assert.deepEqual([method, path, headers["content-type"]], ["POST", "/v1/rings", "application/json"]);
  assert.equal(report.body, JSON.stringify({ ring }));
  assert.deepEqual([headers.authorization, headers.cookie], [undefined, undefined]);
  assert.equal((await entryOf(gateway, key)).rings, false);
  assert.equal((await gateway.health()).body.rings, true);
  assert.equal(listener.reports.length, 1);
});

test("an end that is not on disk yet is not reported", async (t) => {
  const { listener, gateway } = await pair(t);
  const key = gateway.key();
  watch(listener, gateway, key);
  const session = gateway.session();
  await gateway.startTurn(key, "[[sleep:0.2]] [[say:done]]", { session, ring: "r" });
  await gateway.whileLocked(async () => {
    await until("the end could not be written", () => /could not be written/.test(gateway.log));
    assert.equal((await entryOf(gateway, key)).state, "finished");
  });
  const [report] = await listener.reported("r");
  assert.equal(report.seen.state, "finished");
});

test("every kind of end of a turn is reported", async (t) => {
  const { listener, gateway } = await pair(t);
  await begin(gateway, "[[refuse]]", { ring: "refused" });
  await begin(gateway, "[[loop]] [[tool:ledger_read {}]]", { ring: "exhausted", calls_at_most: 1 });
  await begin(gateway, "[[sleep:60]]", { ring: "late", timeout_ms: 1000 });
  const aborted = await begin(gateway, "[[sleep:60]]", { ring: "aborted" });
  await gateway.abort(aborted);
  for (const ring of ["refused", "exhausted", "late", "aborted"]) await listener.reported(ring);
});

test("the end of a turn that was resumed or lost after a crash is reported", async (t) => {
  for (const [message, state] of [["[[sleep:0.3]] [[say:done]]", "finished"], ["[[lost]] [[sleep:9]]", "interrupted"]]) {
    const { listener, gateway } = await pair(t);
    const key = await begin(gateway, message, { ring: "r" });
    watch(listener, gateway, key);
    await until("the model is asked", async () => (await gateway.control("stats")).model_calls > 0);
    await gateway.restart();
    assert.equal((await entryOf(gateway, key)).rings, false, "this process has sent no report yet");
    const [report] = await listener.reported("r");
    assert.equal(report.seen.state, state);
  }
});

test("a gateway that has just started promises reports only after one was accepted", async (t) => {
  const { listener, gateway } = await heardPair(t);
  const key = await begin(gateway, "[[sleep:60]]", { ring: "long" });
  assert.equal((await entryOf(gateway, key)).rings, true);
  await gateway.restart();
  assert.equal((await gateway.health()).body.rings, true, "it has a URL");
  assert.equal((await entryOf(gateway, key)).rings, false, "but no answer has come yet");
  listener.answers = () => 410;
  await gateway.turnEnd("[[say:a]]", { ring: "late" });
  await listener.reported("late");
  await gateway.turnEnd("[[say:a]]");
  listener.answers = () => 204;
  assert.equal((await entryOf(gateway, key)).rings, false, "410 proves nothing");
  await acceptedAgain(gateway, key, "heard");
  listener.answers = () => 410;
  await gateway.turnEnd("[[say:a]]", { ring: "later" });
  await listener.reported("later");
  await gateway.turnEnd("[[say:a]]");
  assert.equal((await entryOf(gateway, key)).rings, true);
});

test("the wake-up token is not part of a turn's digest, and the first one stays", async (t) => {
  const { listener, gateway } = await heardPair(t);
  const [key, session] = [gateway.key(), gateway.session()];
  const send = (more) => gateway.startTurn(key, "[[sleep:0.5]] [[say:done]]", { session, ...more });
  assert.equal((await send({ ring: "first" })).status, 202);
  for (const more of [{ ring: "second" }, { ring: null }, {}]) {
    const { status, body } = await send(more);
    assert.deepEqual([status, body.entry.replayed, body.entry.rings], [202, true, true]);
  }
  await listener.reported("first");
  assert.deepEqual(listener.of("second"), []);
});

test("a text that is no wake-up token is refused and claims nothing", async (t) => {
  const { listener, gateway } = await pair(t);
  for (const ring of ["", "x".repeat(201), "a b", "a/b", "a\n", "é", `${listener.url}`, 1, true, {}, ["a"]]) {
    const key = gateway.key();
    const { status, body } = await gateway.startTurn(key, "[[say:a]]", { ring });
    assert.deepEqual([status, body.error.type], [400, "invalid_request"], JSON.stringify(ring));
    assert.equal(await entryOf(gateway, key), null);
  }
});

test("neither a request nor a redirect chooses where reports go", async (t) => {
  const { listener, gateway } = await pair(t);
  const other = await Listener.start(t);
  listener.answers = () => 307;
  const choices = { ring_url: other.url, ringUrl: other.url, url: other.url };
  await gateway.turnEnd("[[say:a]]", { ring: "r", ...choices });
  await listener.reported("r");
  listener.answers = () => 204;
  await gateway.turnEnd("[[say:a]]", { ring: "next", ...choices });
  await listener.reported("next");
  assert.deepEqual(other.reports, []);
  assert.ok(listener.reports.every(({ path }) => path === "/v1/rings"));
});

test("without a token or a URL nothing is reported, and the turn says so", async (t) => {
  const { listener, gateway } = await pair(t);
  const key = await begin(gateway, "[[sleep:0.3]] [[say:done]]");
  assert.equal((await entryOf(gateway, key)).rings, false);
  await gateway.concluded(key);
  await gateway.turnEnd("[[say:a]]", { ring: "next" });
  await listener.reported("next");
  assert.equal(listener.reports.length, 1);
  const silent = await Mini.start(t);
  assert.equal((await silent.health()).body.rings, false);
  const { body } = await silent.startTurn(silent.key(), "[[say:a]]", { ring: "r" });
  assert.equal(body.entry.rings, false);
});

test("a plain-text URL of another machine, or one with a password, is never called and never logged", async (t) => {
  const listener = await Listener.start(t);
  const at = `127.0.0.1:${listener.port}/v1/rings`;
  for (const url of [`http://0.0.0.0:${listener.port}/v1/rings`, `http://it:hidden@${at}`, `ws://${at}`, "nowhere"]) {
    const gateway = await Mini.start(t, { args: ["--ring-url", `${url}?secret=hidden`] });
    assert.equal((await gateway.health()).body.rings, false, url);
    const key = await begin(gateway, "[[say:done]]", { ring: "r" });
    assert.deepEqual([(await gateway.concluded(key)).reply, (await entryOf(gateway, key)).rings], ["done", false]);
    await gateway.terminate();
    assert.equal(gateway.log.match(/ringUrl/g).length, 1);
    for (const word of ["hidden", "secret"]) assert.ok(!gateway.log.includes(word), gateway.log);
  }
  assert.deepEqual(listener.reports, []);
});

test("a report is repeated after a lost answer, a 5xx, a 409 or a 429, and not after another refusal", async (t) => {
  const { listener, gateway } = await pair(t);
  const first = { busy: 409, limited: 429, broken: 500, away: "reset", over: 410, unknown: 404, wrong: 400, shut: 403 };
  listener.answers = (text, times) => (times === 1 ? (first[text] ?? 503) : text === "clock" && times < 3 ? 503 : 204);
  for (const ring of [...Object.keys(first), "clock"]) await gateway.turnEnd("[[say:a]]", { ring });
  // Its third attempt comes more than a second after the first: by then any other would have come too.
  await listener.reported("clock", 3);
  const times = Object.keys(first).map((ring) => [ring, listener.of(ring).length]);
  assert.deepEqual(Object.fromEntries(times), {
    busy: 2, limited: 2, broken: 2, away: 2, over: 1, unknown: 1, wrong: 1, shut: 1,
  });
  const [one, two, three] = listener.of("clock").map(({ at }) => at);
  assert.ok(two - one >= 290 && three - two >= 990, `${two - one} ${three - two}`);
});

test("a turn says whether the last report was accepted", async (t) => {
  const { listener, gateway } = await heardPair(t);
  const key = await begin(gateway, "[[sleep:60]]", { ring: "open" });
  for (const failure of [500, 429, 404, "reset", "hang"]) {
    let isDown = true;
    // Of every report: one of an earlier failure may be repeated now, and would be accepted in between.
    listener.answers = () => (isDown ? failure : 204);
    assert.equal((await entryOf(gateway, key)).rings, true);
    await gateway.turnEnd("[[say:a]]", { ring: `other-${failure}` });
    await reportsAre(gateway, key, false);
    isDown = false;
    await acceptedAgain(gateway, key, "heard");
  }
  await gateway.abort(key);
});

test("a service that does not answer delays no turn", async (t) => {
  const { listener, gateway } = await pair(t);
  listener.answers = () => "hang";
  const session = gateway.session();
  const began = performance.now();
  for (const ring of ["a", "b", "c"]) {
    assert.equal((await gateway.turnEnd("[[say:done]]", { session, ring })).reply, "done");
  }
  assert.equal((await gateway.endSession(session)).body.ended, true);
  assert.ok(performance.now() - began < 4000);
  await gateway.terminate();
  assert.ok(performance.now() - began < 4500);
});

test("progress is reported when a tool begins or ends, after a wait, and not for streamed text", async (t) => {
  const { listener, gateway } = await pair(t, SLEEPS);
  const tools = ["ledger_sleep"];
  const began = performance.now();
  const worker = await begin(gateway, '[[tool:ledger_sleep {"ms":3500}]] [[say:done]]', { ring: "tool", tools });
  watch(listener, gateway, worker);
  const talker = await begin(gateway, "[[stream:3]] [[say:so much to say]]", { ring: "words" });
  const [news] = await listener.reported("tool");
  assert.ok(news.at - began >= 1900, `${news.at - began}`);
  assert.equal(news.seen.state, "started");
  await gateway.concluded(worker);
  await gateway.concluded(talker);
  const reports = await listener.reported("tool", 2);
  assert.deepEqual(reports.map(({ seen }) => seen.state), ["started", "finished"]);
  assert.equal((await listener.reported("words")).length, 1);
});

test("neither a wake-up token nor the URL is logged, whatever the answer is", async (t) => {
  const { listener, gateway } = await pair(t);
  listener.answers = (_, times) => [500, "reset", 302][times - 1] ?? 404;
  await gateway.turnEnd("[[say:a]]", { ring: "a-secret-ring" });
  await listener.reported("a-secret-ring", 3);
  await gateway.terminate();
  for (const word of ["a-secret-ring", listener.url, String(listener.port)]) {
    assert.ok(!(gateway.log ?? "").includes(word), gateway.log);
  }
});

test("a journal of the second schema keeps its turns and stores wake-up tokens", async (t) => {
  const { listener, gateway } = await pair(t);
  const key = await begin(gateway, "[[sleep:0.3]] [[say:done]]");
  await until("the model is asked", async () => (await gateway.control("stats")).model_calls > 0);
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  // What the third schema has added, taken away again.
  file.exec("ALTER TABLE turns DROP COLUMN ring; PRAGMA user_version = 2");
  const { value: journal } = file.prepare("SELECT value FROM meta WHERE name = 'journal'").get();
  file.close();
  await gateway.boot();
  assert.equal((await gateway.health()).body.journal, journal);
  assert.equal((await entryOf(gateway, key)).rings, false);
  assert.equal((await gateway.concluded(key)).reply, "done");
  await gateway.turnEnd("[[say:next]]", { ring: "next" });
  await listener.reported("next");
  assert.equal(gateway.rows("PRAGMA user_version")[0].user_version, 3);
  assert.equal(listener.reports.length, 1);
});
