// The times of progress reports, by a clock that the test advances.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { WakeUps } from "../wake-ups.js";

const URL_SET = "https://example.test/v1/rings";
const STEP_MS = 100;

/** Reports that are answered by `answer(token)`, and the times at which each came, in ms since the start. */
function arranged(t, answer = () => 204) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  t.after(() => mock.timers.reset());
  const sent = [];
  t.mock.method(globalThis, "fetch", async (url, { body, redirect }) => {
    assert.deepEqual([url, redirect], [URL_SET, "manual"]);
    const { ring } = JSON.parse(body);
    sent.push({ ring, at: Date.now() });
    return new Response(null, { status: await answer(ring) });
  });
  return { wakeUps: new WakeUps(URL_SET), sent, times: () => sent.map(({ at }) => at) };
}

/** Reports that were answered with these statuses in turn; each status stands for one attempt. */
async function heard(t, ...statuses) {
  const { wakeUps } = arranged(t, () => statuses.shift());
  while (statuses.length > 0) {
    // Progress of a running turn is reported with one attempt, whatever the response.
    wakeUps.changed({ wakeUpToken: "r" });
    await pass(3000);
  }
  return wakeUps;
}

/** Advances the clock and runs the timers that become due. */
async function pass(ms) {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(STEP_MS);
  }
}

test("an end is reported at most five times, each time later", async (t) => {
  for (const status of [503, 500, 429, 409]) {
    const { wakeUps, times } = arranged(t, () => status);
    wakeUps.ended({ wakeUpToken: "r" });
    await pass(60_000);
    assert.deepEqual(times(), [0, 300, 1300, 4300, 14_300], String(status));
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("an end that was accepted or refused is not reported again", async (t) => {
  for (const status of [200, 204, 302, 400, 401, 403, 404, 410]) {
    const { wakeUps, times } = arranged(t, () => status);
    wakeUps.ended({ wakeUpToken: "r" });
    await pass(30_000);
    assert.deepEqual(times(), [0], String(status));
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("a token reaches its caller only after the first report was accepted", async (t) => {
  const { wakeUps } = arranged(t);
  assert.ok(wakeUps.isOn && !wakeUps.reaches("r"));
  wakeUps.ended({ wakeUpToken: "r" });
  await pass(STEP_MS);
  assert.ok(wakeUps.reaches("r"));
  assert.ok(!wakeUps.reaches(null), "a turn without a token");
});

test("only the status codes of the service's route count as accepted; 410 changes nothing", async (t) => {
  const cases = [
    ...[200, 204, 299, 409].flatMap((status) => [[[status], true], [[404, status], true]]),
    ...[300, 302, 400, 401, 403, 404, 429, 500, 503].flatMap((status) => [[[status], false], [[204, status], false]]),
    [[410], false], [[204, 410], true], [[404, 410], false], [[204, 404, 410], false],
  ];
  for (const [statuses, reaches] of cases) {
    const wakeUps = await heard(t, ...statuses);
    assert.equal(wakeUps.reaches("r"), reaches, `${statuses}`);
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("a busy turn is reported six times, each time after twice the wait, and once at its end", async (t) => {
  const { wakeUps, times } = arranged(t);
  const turn = { wakeUpToken: "r" };
  for (let changes = 0; changes < 1200; changes += 1) {
    wakeUps.changed(turn);
    await pass(300);
  }
  const gaps = times().map((at, index) => at - (times()[index - 1] ?? 0));
  assert.equal(gaps.length, 6);
  for (const [index, gap] of gaps.entries()) assert.ok(gap >= 1000 * 2 ** (index + 1), `${gaps}`);
  wakeUps.ended(turn);
  await pass(60_000);
  assert.equal(times().length, 7);
});

test("changes soon after a report are reported once, later, and a turn without changes is not reported", async (t) => {
  const { wakeUps, times } = arranged(t);
  const turn = { wakeUpToken: "r" };
  for (const _ of [1, 2, 3]) wakeUps.changed(turn);
  await pass(120_000);
  assert.deepEqual(times(), [2000]);
  wakeUps.changed(turn);
  await pass(120_000);
  assert.equal(times().length, 2);
});

test("progress is reported without repetition, and not after the turn's end", async (t) => {
  const { wakeUps, times } = arranged(t, () => 503);
  const turn = { wakeUpToken: "r" };
  wakeUps.changed(turn);
  await pass(60_000);
  assert.deepEqual(times(), [2000]);
  const over = { wakeUpToken: "over" };
  wakeUps.changed(over);
  wakeUps.ended(over);
  await pass(60_000);
  assert.equal(times().length, 6);
});

test("32 reports are sent at once, and a report over that limit withdraws the promise to callers", async (t) => {
  let hang = false;
  const { wakeUps, sent } = arranged(t, () => (hang ? new Promise(() => {}) : 204));
  wakeUps.ended({ wakeUpToken: "first" });
  await pass(STEP_MS);
  hang = true;
  for (let turn = 0; turn < 32; turn += 1) wakeUps.ended({ wakeUpToken: `r${turn}` });
  await pass(1000);
  assert.equal(sent.length, 33);
  assert.ok(wakeUps.reaches("another"));
  hang = false;
  wakeUps.ended({ wakeUpToken: "r32" });
  await pass(30_000);
  assert.equal(sent.length, 33);
  assert.ok(!wakeUps.reaches("another"));
});

test("reports go to https, or to http on this machine, only", (t) => {
  const said = [];
  const isOn = (url) => new WakeUps(url, (message) => said.push(message)).isOn;
  const right = [URL_SET, "http://127.0.0.1:1/r", "http://[::1]:1/r", "http://localhost:1/r"];
  for (const url of right) assert.ok(isOn(url), url);
  assert.ok(!isOn(undefined));
  assert.deepEqual(said, []);
  const wrong = [
    "http://example.test/r", "http://127.0.0.1.example.test/r", "http://localhost.example.test/", "http://10.0.0.1/r",
    "http://0.0.0.0/r", "http://169.254.169.254/r", "file:///etc/hosts", "ftp://127.0.0.1/r", "/v1/rings", "",
    "https://me:hidden@example.test/r", "https://hidden@example.test/r",
  ];
  for (const url of wrong) assert.ok(!isOn(url), url);
  assert.equal(said.length, wrong.length);
  assert.ok(said.every((message) => !/hidden|example|127|:\/\//.test(message)), said.join("\n"));
});
