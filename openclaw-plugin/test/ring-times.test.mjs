// When rings come, told by a clock that the test moves.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Rings } from "../rings.js";

const URL_SET = "https://example.test/v1/rings";
const STEP_MS = 100;

/** Rings whose answers are `answer(text)`, and the times at which each came, in ms since the start. */
function arranged(t, answer = () => 204) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  t.after(() => mock.timers.reset());
  const rung = [];
  t.mock.method(globalThis, "fetch", async (url, { body, redirect }) => {
    assert.deepEqual([url, redirect], [URL_SET, "manual"]);
    const { ring } = JSON.parse(body);
    rung.push({ ring, at: Date.now() });
    return new Response(null, { status: await answer(ring) });
  });
  return { rings: new Rings(URL_SET), rung, times: () => rung.map(({ at }) => at) };
}

/** Rings that were answered like that, one after another; each status stands for one attempt. */
async function heard(t, ...statuses) {
  const { rings } = arranged(t, () => statuses.shift());
  while (statuses.length > 0) {
    // What shows while a turn runs is rung for once, whatever comes back.
    rings.changed({ ring: "r" });
    await pass(3000);
  }
  return rings;
}

/** Lets time go by, and what hangs on it. */
async function pass(ms) {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(STEP_MS);
  }
}

test("an end is rung for five times and no more, each time later", async (t) => {
  for (const status of [503, 500, 429, 409]) {
    const { rings, times } = arranged(t, () => status);
    rings.ended({ ring: "r" });
    await pass(60_000);
    assert.deepEqual(times(), [0, 300, 1300, 4300, 14_300], String(status));
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("whoever hears an end, or does not want it, is not rung again", async (t) => {
  for (const status of [200, 204, 302, 400, 401, 403, 404, 410]) {
    const { rings, times } = arranged(t, () => status);
    rings.ended({ ring: "r" });
    await pass(30_000);
    assert.deepEqual(times(), [0], String(status));
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("nobody counts on being rung before the first ring was heard", async (t) => {
  const { rings } = arranged(t);
  assert.ok(rings.isOn && !rings.reaches("r"));
  rings.ended({ ring: "r" });
  await pass(STEP_MS);
  assert.ok(rings.reaches("r"));
  assert.ok(!rings.reaches(null), "a turn without a ring");
});

test("only an answer of whoever knows rings says that they are heard; one that came too late says nothing", async (t) => {
  const cases = [
    ...[200, 204, 299, 409].flatMap((status) => [[[status], true], [[404, status], true]]),
    ...[300, 302, 400, 401, 403, 404, 429, 500, 503].flatMap((status) => [[[status], false], [[204, status], false]]),
    [[410], false], [[204, 410], true], [[404, 410], false], [[204, 404, 410], false],
  ];
  for (const [statuses, reaches] of cases) {
    const rings = await heard(t, ...statuses);
    assert.equal(rings.reaches("r"), reaches, `${statuses}`);
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("a turn that never rests is rung for six times, each time after twice as long, and once at its end", async (t) => {
  const { rings, times } = arranged(t);
  const turn = { ring: "r" };
  for (let changes = 0; changes < 1200; changes += 1) {
    rings.changed(turn);
    await pass(300);
  }
  const gaps = times().map((at, index) => at - (times()[index - 1] ?? 0));
  assert.equal(gaps.length, 6);
  for (const [index, gap] of gaps.entries()) assert.ok(gap >= 1000 * 2 ** (index + 1), `${gaps}`);
  rings.ended(turn);
  await pass(60_000);
  assert.equal(times().length, 7);
});

test("what changes soon after a ring is rung for once, later, and nothing is where nothing changes", async (t) => {
  const { rings, times } = arranged(t);
  const turn = { ring: "r" };
  for (const _ of [1, 2, 3]) rings.changed(turn);
  await pass(120_000);
  assert.deepEqual(times(), [2000]);
  rings.changed(turn);
  await pass(120_000);
  assert.equal(times().length, 2);
});

test("what changes while a turn runs is rung for without repetition, and not after its end", async (t) => {
  const { rings, times } = arranged(t, () => 503);
  const turn = { ring: "r" };
  rings.changed(turn);
  await pass(60_000);
  assert.deepEqual(times(), [2000]);
  const over = { ring: "over" };
  rings.changed(over);
  rings.ended(over);
  await pass(60_000);
  assert.equal(times().length, 6);
});

test("thirty-two are rung at once, and whoever is left out does not count on being rung", async (t) => {
  let hang = false;
  const { rings, rung } = arranged(t, () => (hang ? new Promise(() => {}) : 204));
  rings.ended({ ring: "first" });
  await pass(STEP_MS);
  hang = true;
  for (let turn = 0; turn < 32; turn += 1) rings.ended({ ring: `r${turn}` });
  await pass(1000);
  assert.equal(rung.length, 33);
  assert.ok(rings.reaches("another"));
  hang = false;
  rings.ended({ ring: "r32" });
  await pass(30_000);
  assert.equal(rung.length, 33);
  assert.ok(!rings.reaches("another"));
});

test("only https, or http on this machine, is rung", (t) => {
  const said = [];
  const isOn = (url) => new Rings(url, (message) => said.push(message)).isOn;
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
