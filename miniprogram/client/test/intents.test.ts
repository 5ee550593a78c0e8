// One intent is one job, whatever the phone does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rejection, stand } from "./stand.ts";
import type { Fate } from "./phone.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const submits = (s: ReturnType<typeof stand>): number => s.phone.sent.filter(({ method, url }) => method === "POST" && url.endsWith("/v1/jobs")).length;

test("a tool call is stored, sent, followed and gone from the outbox", async () => {
  const s = stand();
  const handle = s.client.submit("ledger_append", { note: "tea" });
  assert.equal(handle.status, "stored");
  assert.match([...s.phone.stored.values()].join(), new RegExp(handle.requestId), "it is stored before anything is sent");
  assert.equal(submits(s), 0);
  const statuses: string[] = [];
  handle.onProgress(({ status }) => statuses.push(status));
  const result = handle.result();
  await s.time.until(() => handle.over);
  const job = await result;
  assert.equal(job.status, "succeeded");
  assert.deepEqual([...new Set(statuses)], ["stored", "queued", "succeeded"]);
  assert.equal(s.effects("tea"), 1);
  assert.equal(handle.supportCode, job.support_code);
  assert.deepEqual(s.client.open(), []);
  assert.doesNotMatch([...s.phone.stored.values()].join(), new RegExp(handle.requestId));
});

for (const fate of ["lost", "answer lost", "resent", "late", { status: 503, after: false, code: "unavailable" }, { status: 503, after: true, code: "unavailable" }, { status: 502, after: true, code: "" }, { status: 429, after: false, code: "rate_limited", retryAfter: 7 }] as Fate[]) {
  test(`a submission that meets "${typeof fate === "string" ? fate : `${fate.status} ${fate.after ? "after" : "before"} ${fate.code}`}" is one job`, async () => {
    const s = stand();
    await s.run(s.client.login());
    s.phone.fates = [fate, fate];
    const handle = s.client.submit("ledger_append", { note: "tea" });
    await s.time.until(() => handle.over);
    await s.time.advance(120_000);
    assert.equal(handle.status, "succeeded");
    assert.equal(s.effects("tea"), 1);
    assert.equal(s.service.submissions, 1);
  });
}

test("a double tap is one intent, also when the first is over already", async () => {
  const s = stand();
  s.service.tookMs = 10;
  const first = s.client.submit("ledger_append", { note: "tea" });
  assert.equal(s.client.submit("ledger_append", { note: "tea" }), first);
  await s.time.until(() => first.over);
  assert.ok(s.time.elapsed < 1000);
  assert.equal(s.client.submit("ledger_append", { note: "tea" }), first);
  await s.time.advance(2000);
  const again = s.client.submit("ledger_append", { note: "tea" });
  assert.notEqual(again, first, "later it is a new user intent");
  await s.time.until(() => again.over);
  assert.equal(s.effects("tea"), 2);
});

test("the page's own name of an intent decides", async () => {
  const s = stand();
  const first = s.client.submit("ledger_append", { note: "tea" }, { intent: "form-1" });
  const other = s.client.submit("ledger_append", { note: "tea" }, { intent: "form-2" });
  assert.notEqual(first, other);
  await s.time.until(() => first.over && other.over);
  await s.time.advance(60_000);
  assert.equal(s.client.submit("ledger_append", { note: "tea" }, { intent: "form-1" }), first);
  assert.equal(s.effects("tea"), 2);
});

test("what was tapped in airplane mode is sent once the network is back", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.connect(false);
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.advance(5_000);
  assert.equal(handle.status, "stored");
  assert.equal(handle.error?.code, "offline");
  s.phone.connect(true);
  await s.time.until(() => handle.over, 5_000);
  assert.equal(s.effects("tea"), 1);
});

test("an app that is killed at any moment goes on with its intents at the next start", async () => {
  for (let steps = 0; steps < 12; steps += 1) {
    const s = stand();
    s.phone.latencyMs = 50;
    s.client.submit("ledger_append", { note: "tea" });
    for (let step = 0; step < steps; step += 1) await s.time.step();
    const client = s.restart();
    await s.time.until(() => client.open().length === 0);
    await s.time.advance(60_000);
    assert.equal(s.effects("tea"), 1, `killed after ${steps} steps`);
    assert.equal(s.service.submissions, 1, `killed after ${steps} steps`);
  }
});

test("an intent of before a restart that ends leaves the outbox, though nothing else was stored meanwhile", async () => {
  const s = stand();
  s.service.tookMs = 5_000;
  const { requestId } = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.client.open()[0]!.status === "queued");
  const client = s.restart();
  await s.time.until(() => client.open().length === 0);
  assert.doesNotMatch([...s.phone.stored.values()].join(), new RegExp(requestId));
});

test("a phone whose clock was set back while the app was closed makes ids of no earlier time than it had seen", async () => {
  const s = stand();
  const first = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => first.over);
  s.phone.kill();
  s.time.jump(-3 * DAY_MS);
  const second = s.restart().submit("ledger_append", { note: "milk" });
  await s.time.until(() => second.over);
  assert.deepEqual([second.status, s.effects("milk")], ["succeeded", 1]);
});

test("the same tap after a crash is the same intent", async () => {
  const s = stand();
  s.phone.fates = ["ok", "answer lost"];
  const { requestId } = s.client.submit("ledger_append", { note: "tea" });
  await s.time.advance(1_000);
  const again = s.restart().submit("ledger_append", { note: "tea" });
  assert.equal(again.requestId, requestId);
  await s.time.until(() => again.over);
  assert.equal(s.effects("tea"), 1);
});

test("turns of one conversation are recorded in the order of their taps, others pass them", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["lost"];
  const one = s.client.say("one", { conversation: "notes" });
  const two = s.client.say("two", { conversation: "notes" });
  const other = s.client.say("other", { conversation: "else" });
  await s.time.until(() => one.over && two.over && other.over);
  const order = [...s.service.jobs.values()].map(({ body }) => JSON.parse(body).message);
  assert.deepEqual(order, ["other", "one", "two"]);
});

test("a phone that was off for thirty days finds the job that it made, and drops what never left, and says so", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["answer lost", "lost"];
  s.client.submit("ledger_append", { note: "answer lost" });
  s.client.submit("ledger_append", { note: "lost" });
  await s.time.until(() => submits(s) === 2);
  s.phone.kill();
  await s.time.advance(29 * DAY_MS);
  const client = s.restart();
  const [known, unknown] = client.open();
  assert.ok(known && unknown);
  const error = rejection(unknown.result());
  await s.time.until(() => known.over && unknown.over);
  assert.equal(known.status, "succeeded");
  assert.equal((await error).code, "request_id_expired");
  assert.equal((await error).effect, "unknown", "after so long an unknown id proves nothing");
  assert.equal(unknown.status, "not_recorded");
  assert.deepEqual([s.effects("answer lost"), s.effects("lost")], [1, 0]);
  assert.deepEqual(client.open(), []);
});

test("what was never sent is dropped after a day as not run", async () => {
  const s = stand();
  await s.run(s.client.login());
  await s.time.advance(1000);
  s.phone.connect(false);
  const handle = s.client.submit("ledger_append", { note: "tea" });
  s.phone.kill();
  await s.time.advance(3 * DAY_MS);
  s.phone.connect(true);
  const [restored] = s.restart().open();
  assert.equal(restored?.requestId, handle.requestId);
  const error = await s.run(Promise.all([rejection(restored.result()), s.time.until(() => restored.over)]));
  assert.deepEqual([error[0].code, error[0].effect], ["request_id_expired", "not_run"]);
  assert.equal(s.effects("tea"), 0);
});

for (const days of [-400, -3, -0.01, 0.006, 0.009, 3, 400]) {
  test(`a phone whose clock is ${days} days off makes one job, also when it jumps in between`, async () => {
    const s = stand();
    s.time.jump(days * DAY_MS);
    const first = s.client.submit("ledger_append", { note: "first" });
    await s.time.until(() => first.over);
    s.time.jump(days * DAY_MS);
    const second = s.client.submit("ledger_append", { note: "second" });
    await s.time.until(() => second.over);
    s.time.jump(-2 * days * DAY_MS);
    const third = s.client.submit("ledger_append", { note: "third" });
    await s.time.until(() => third.over);
    assert.deepEqual(s.service.ledger.map(({ note }) => note), ["first", "second", "third"]);
    assert.ok(Math.abs(s.client.now() - s.service.now()) < 2000, "the service's clock is known");
  });
}

test("validForMs starts nothing later, and is the same in every copy of the request", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["answer lost"];
  const handle = s.client.submit("ledger_append", { note: "tea" }, { validForMs: 60_000 });
  await s.time.until(() => handle.over);
  const bodies = s.phone.sent.filter(({ url }) => url.endsWith("/v1/jobs")).map(({ data }) => data);
  assert.equal(bodies.length, 2);
  assert.equal(bodies[0], bodies[1]);
  assert.ok(Math.abs(JSON.parse(bodies[0]!).not_after - (s.service.now() + 60_000)) < 60_000);
});

test("a refusal ends the intent, and its error says what it means", async () => {
  const s = stand();
  const handle = s.client.submit("forbidden", { note: "tea" });
  const [error] = await s.run(Promise.all([rejection(handle.result()), s.time.until(() => handle.over)]));
  assert.deepEqual([error.code, error.effect, handle.status], ["policy_denied", "not_run", "not_recorded"]);
  assert.deepEqual(s.client.open(), []);
});

test("an unknown outcome is told, and nothing is sent again", async () => {
  const s = stand();
  s.service.outcome = () => "unknown";
  const handle = s.client.submit("ledger_append", { note: "tea" });
  const [job] = await s.run(Promise.all([handle.result(), s.time.until(() => handle.over)]));
  assert.deepEqual([job.status, job.effect, submits(s)], ["unknown", "unknown", 1]);
});

test("a full storage refuses the intent before anything is sent, and keeps what it has", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.storageFull = true;
  assert.throws(() => s.client.submit("ledger_append", { note: "tea" }), { code: "storage_failed" });
  s.phone.storageFull = false;
  await s.time.advance(60_000);
  assert.equal(submits(s), 0);
  const handle = s.client.submit("ledger_append", { note: "tea" });
  s.phone.storageFull = true;
  await s.time.until(() => handle.over);
  s.phone.storageFull = false;
  const restored = s.restart();
  await s.time.until(() => restored.open().length === 0);
  assert.equal(s.effects("tea"), 1);
});

test("the outbox is bounded", () => {
  const s = stand({ maxIntents: 3 });
  s.phone.connect(false);
  for (const note of ["a", "b", "c"]) s.client.submit("ledger_append", { note });
  assert.throws(() => s.client.submit("ledger_append", { note: "d" }), { code: "outbox_full" });
  assert.throws(() => stand().client.submit("ledger_append", { note: "x".repeat(400_000) }), { code: "outbox_full" });
});

test("what another user has left behind for days makes room when there is none", async () => {
  const s = stand({ maxIntents: 2 });
  await s.run(s.client.login());
  s.phone.connect(false);
  for (const note of ["a", "b"]) s.client.submit("ledger_append", { note });
  s.phone.kill();
  s.phone.user = "bob";
  s.service.revoke("alice");
  await s.time.advance(3 * DAY_MS);
  s.phone.connect(true);
  const client = s.restart();
  await s.run(client.login());
  const bobs = client.submit("ledger_append", { note: "bob's" });
  await s.time.until(() => bobs.over);
  assert.deepEqual(s.service.ledger.map(({ note }) => note), ["bob's"]);
});

test("an outbox that cannot be read is an empty one", async () => {
  const s = stand();
  for (const value of ["{", "null", "[]", '{"all":7}', "7"]) {
    for (const key of [...s.phone.stored.keys(), "openclaw:intents:https://api.example.com"]) s.phone.stored.set(key, value);
    const client = s.restart();
    const handle = client.submit("ledger_append", { note: `after ${value}` });
    await s.time.until(() => handle.over);
    assert.equal(handle.status, "succeeded", value);
  }
});

test("intents of another user stay theirs", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.connect(false);
  s.client.submit("ledger_append", { note: "alice's" });
  s.phone.user = "bob";
  s.service.revoke("alice");
  s.phone.connect(true);
  await s.time.advance(60_000);
  assert.equal(s.service.ledger.length, 0, "what alice wanted is not done as bob");
  assert.deepEqual(s.client.open(), []);
  const bobs = s.client.submit("ledger_append", { note: "bob's" });
  await s.time.until(() => bobs.over);
  s.phone.user = "alice";
  s.service.revoke("bob");
  await s.run(s.client.tools());
  await s.time.until(() => s.effects("alice's") === 1);
  assert.deepEqual(s.service.ledger.map(({ user }) => user), ["bob", "alice"]);
});

test("cancelling takes back what was not sent, and asks the service about what may have been", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.service.tookMs = 60_000;
  s.phone.connect(false);
  const unsent = s.client.submit("ledger_append", { note: "unsent" });
  await s.time.advance(10);
  s.phone.connect(true);
  s.phone.fate = ({ data }) => (data?.includes('"sent"') ? "answer lost" : "ok");
  const sent = s.client.submit("ledger_append", { note: "sent" });
  await s.time.until(() => s.phone.sent.some(({ data }) => data?.includes('"sent"')));
  await s.run(sent.cancel());
  await s.time.until(() => sent.over);
  assert.equal(sent.status, "cancelled");
  const open = s.client.submit("ledger_append", { note: "open" });
  await s.time.until(() => open.status === "queued");
  await s.run(open.cancel());
  assert.equal(open.status, "cancelled");
  await s.time.until(() => unsent.over);
  assert.deepEqual(s.service.ledger.map(({ note }) => note), ["unsent"]);
});

test("an intent that was never sent is cancelled on the phone", async () => {
  const s = stand();
  s.phone.connect(false);
  const never = s.client.submit("ledger_append", { note: "never" });
  await s.time.advance(20);
  await s.run(never.cancel());
  const error = await s.run(rejection(never.result()));
  assert.deepEqual([error.code, error.effect], ["cancelled", "not_run"]);
  s.phone.connect(true);
  await s.time.advance(60_000);
  assert.equal(submits(s), 0);
});
