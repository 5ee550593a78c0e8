// Faults of a page, of the phone's storage, and of answers that are not what the contract says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "../src/client.ts";
import type { WireRequest, WireResponse } from "./phone.ts";
import { BASE_URL, rejection, stand, type Stand } from "./stand.ts";

const HOUR_MS = 3_600_000;
const OUTBOX = `openclaw:intents:${BASE_URL}`;
const isSubmission = ({ method, url }: WireRequest): boolean => method === "POST" && url.endsWith("/v1/jobs");
const submissions = (s: Stand): WireRequest[] => s.phone.sent.filter(isSubmission);

/** Changes the answers of the service on their way. */
function answers(s: Stand, change: (request: WireRequest, response: WireResponse) => WireResponse | undefined): void {
  const { server } = s.phone;
  s.phone.server = async (request) => {
    const response = await server(request);
    return change(request, response) ?? response;
  };
}

test("a listener that throws stops nothing: the intent is stored once, sent, and its result is told", async (t) => {
  const said = t.mock.method(console, "error", () => undefined);
  const s = stand();
  s.client.onChange(() => {
    throw new Error("the page is gone");
  });
  const handle = s.client.submit("ledger_append", { note: "tea" });
  const other = s.client.submit("ledger_append", { note: "milk" });
  const results = Promise.all([handle.result(), other.result()]);
  await s.time.until(() => handle.over && other.over, 60_000);
  assert.deepEqual((await results).map(({ status }) => status), ["succeeded", "succeeded"]);
  assert.deepEqual([s.effects("tea"), s.effects("milk"), submissions(s).length], [1, 1, 2]);
  assert.ok(said.mock.callCount() > 0, "the page's fault is shown to its author");
});

test("what a page does to its form after the tap changes no copy of the request", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["answer lost"];
  const form = { note: "tea" };
  const handle = s.client.submit("ledger_append", form);
  await s.time.until(() => submissions(s).length === 1);
  form.note = "";
  await s.time.until(() => handle.over);
  assert.equal(handle.status, "succeeded");
  assert.equal(s.effects("tea"), 1);
});

for (const value of ["99999999999", "1e999", "-5", "0", "abc", "Wed, 21 Oct 2099 07:28:00 GMT"]) {
  test(`a Retry-After of "${value}" neither floods the service nor holds an intent for longer than an hour`, async () => {
    const s = stand();
    await s.run(s.client.login());
    let limited = true;
    answers(s, (request) => {
      if (!limited || !isSubmission(request)) return undefined;
      const body = JSON.stringify({ type: "urn:openclaw-miniprogram:rate_limited", title: "slowly", status: 429, code: "rate_limited" });
      return { status: 429, header: { "Retry-After": value }, body };
    });
    const handle = s.client.submit("ledger_append", { note: "tea" });
    await s.time.advance(60_000);
    assert.ok(submissions(s).length < 12, `${submissions(s).length} in a minute`);
    limited = false;
    await s.time.until(() => handle.over, HOUR_MS);
  });
}

test("a pause between polls that no timer can hold does not flood the service", async () => {
  const s = stand();
  s.service.tookMs = 120_000;
  answers(s, (_, response) => ({ ...response, header: { ...response.header, "Next-Poll-Ms": "99999999999" }, body: response.body.replace(/"next_poll_ms":\d+/, '"next_poll_ms":99999999999') }));
  const handles = ["a", "b", "c"].map((note) => s.client.submit("ledger_append", { note }));
  await s.time.advance(60_000);
  assert.ok(s.phone.sent.length < 10, `${s.phone.sent.length} requests in a minute`);
  await s.time.until(() => handles.every(({ over }) => over), 2 * HOUR_MS);
});

test("a refused id without the service's time is tried again with growing pauses", async () => {
  const s = stand();
  await s.run(s.client.login());
  answers(s, (request) => {
    if (!isSubmission(request)) return undefined;
    return { status: 400, header: {}, body: JSON.stringify({ type: "urn:openclaw-miniprogram:request_id_in_future", title: "", status: 400, code: "request_id_in_future" }) };
  });
  s.client.submit("ledger_append", { note: "tea" });
  await s.time.advance(60_000);
  assert.ok(submissions(s).length < 12, `${submissions(s).length} in a minute`);
});

test("a job whose last change carries an earlier time than the one before ends all the same", async () => {
  const s = stand();
  s.service.tookMs = 5_000;
  answers(s, (_, response) => {
    if (!/"status":"succeeded"/.test(response.body)) return undefined;
    // Functions run on several machines, whose clocks differ.
    return { ...response, body: response.body.replace(/"updated_at":"[^"]+"/, '"updated_at":"2020-01-01T00:00:00.000Z"') };
  });
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over, 60_000);
  assert.equal(handle.status, "succeeded");
});

test("an answer about another job is not taken for the intent's own", async () => {
  const s = stand();
  await s.run(s.client.login());
  let mixed = 0;
  answers(s, (request, response) => {
    if (!isSubmission(request) || (mixed += 1) > 1) return undefined;
    return { ...response, body: response.body.replace(/"request_id":"[^"]+"/, '"request_id":"0199c7a0-0000-7000-8000-000000000000"') };
  });
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.error !== undefined);
  assert.deepEqual([handle.error!.code, handle.status], ["offline", "stored"]);
  await s.time.until(() => handle.over);
  assert.equal(s.effects("tea"), 1);
});

test("a refusal that something in front of the service makes up ends no intent", async () => {
  const s = stand();
  await s.run(s.client.login());
  let refused = 0;
  answers(s, (request) => {
    if (!isSubmission(request) || (refused += 1) > 1) return undefined;
    return { status: 403, header: {}, body: JSON.stringify({ code: "AccessDenied", message: "blocked" }) };
  });
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over);
  assert.equal(handle.status, "succeeded");
  assert.equal(s.effects("tea"), 1);
});

test("a checkSession that WeChat never answers holds nothing up for long", async () => {
  const s = stand();
  await s.run(s.client.login());
  const wx = s.phone.start();
  wx.checkSession = () => undefined;
  const client = createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock });
  const handle = client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over, 60_000);
  assert.equal(s.effects("tea"), 1);
});

test("after a logout a login goes on with what is open, and a logout that fails stops nothing", async () => {
  const s = stand();
  s.service.tookMs = 5_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  await s.run(s.client.logout());
  await s.run(s.client.login());
  await s.time.until(() => handle.over, 10_000);
  const other = s.client.submit("ledger_append", { note: "milk" });
  await s.time.until(() => other.status === "queued");
  s.phone.connect(false);
  assert.equal((await s.run(rejection(s.client.logout()))).code, "offline");
  s.phone.connect(true);
  await s.time.until(() => other.over, 60_000);
});

test("a request that a logout overtakes does not log in again", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  await s.run(s.client.login());
  const { server } = s.phone;
  s.phone.server = async (request) => {
    if (isSubmission(request)) await new Promise<void>((resolve) => s.time.setTimeout(resolve, 5_000));
    return server(request);
  };
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => submissions(s).length === 1);
  await s.run(s.client.logout());
  await s.time.advance(600_000);
  assert.deepEqual([s.service.sessions.size, handle.status], [0, "stored"]);
  await s.run(s.client.login());
  await s.time.until(() => handle.over, 60_000);
  assert.equal(s.effects("tea"), 1);
});

test("a poll that gives way shows no error", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  s.service.tookMs = 30_000;
  const handles = ["a", "b"].map((note) => s.client.submit("ledger_append", { note }));
  await s.time.until(() => handles.every(({ status }) => status === "queued"));
  await s.time.advance(3_000);
  const codes = new Set<unknown>();
  s.client.onChange(({ error }) => codes.add(error?.code));
  await s.run(s.client.tools());
  await s.time.until(() => handles.every(({ over }) => over));
  assert.deepEqual([...codes], [undefined]);
});

test("an outbox with entries of the wrong shape keeps those that are right, and lets the app start", async () => {
  const s = stand();
  s.phone.connect(false);
  const { requestId } = s.client.submit("ledger_append", { note: "tea" });
  s.phone.kill();
  s.phone.connect(true);
  const { all } = JSON.parse(s.phone.stored.get(OUTBOX)!);
  for (const wrong of [null, 7, {}, { id: 7, body: {} }, { id: "x", body: "text" }, { id: requestId, body: 7 }]) {
    s.phone.stored.set(OUTBOX, JSON.stringify({ seen: "soon", all: [wrong, ...all] }));
    assert.deepEqual(s.restart().open().map((handle) => handle.requestId), [requestId], JSON.stringify(wrong));
    s.phone.kill();
  }
  s.phone.stored.set(OUTBOX, JSON.stringify({ seen: "soon", all }));
  const [handle] = s.restart().open();
  await s.time.until(() => handle!.over);
  assert.equal(s.effects("tea"), 1);
});

test("an outbox that the phone cannot read just now is not written over", async () => {
  const s = stand();
  s.phone.connect(false);
  s.client.submit("ledger_append", { note: "tea" });
  const wx = s.phone.start();
  const { getStorageSync } = wx;
  wx.getStorageSync = () => {
    throw new Error("getStorageSync:fail");
  };
  const client = createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock });
  assert.throws(() => client.submit("ledger_append", { note: "milk" }), { code: "storage_failed" });
  wx.getStorageSync = getStorageSync!;
  client.submit("ledger_append", { note: "bread" });
  s.phone.connect(true);
  const restarted = s.restart();
  await s.time.until(() => restarted.open().length === 0);
  assert.deepEqual([s.effects("tea"), s.effects("milk"), s.effects("bread")], [1, 0, 1]);
});

test("a job of several turns keeps the order of each of its conversations", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["lost"];
  const steps = [{ message: "one", conversation: "a" }, { message: "two", conversation: "b" }];
  const first = s.client.run(steps);
  const second = s.client.say("three", { conversation: "b" });
  await s.time.until(() => first.status !== "stored" && second.status !== "stored");
  const order = [...s.service.jobs.values()].map(({ body }) => ("steps" in JSON.parse(body) ? "steps" : "three"));
  assert.deepEqual(order, ["steps", "three"]);
});

test("what the service asked to wait for goes on waiting when the user comes back", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = [{ status: 429, after: false, code: "rate_limited", retryAfter: 60 }];
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.error !== undefined);
  for (let second = 0; second < 50; second += 1) {
    s.client.show();
    await s.time.advance(1_000);
  }
  assert.equal(submissions(s).length, 1);
  await s.time.until(() => handle.over, 30_000);
});

test("a user whose session is lost does not get the intents of the one before", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.connect(false);
  s.client.submit("ledger_append", { note: "alice's" });
  s.phone.kill();
  for (const key of s.phone.stored.keys()) if (key !== OUTBOX) s.phone.stored.delete(key);
  s.phone.user = "bob";
  s.phone.connect(true);
  const client = s.restart();
  await s.time.advance(60_000);
  assert.equal(s.service.ledger.length, 0);
  assert.deepEqual(client.open(), []);
});

test("the time is taken from the service's responses only, not from a page of another server", async () => {
  const s = stand();
  await s.run(s.client.login());
  const header = { Date: "Wed, 21 Oct 2099 07:28:00 GMT" };
  let shown = 0;
  answers(s, () => ((shown += 1) > 1 ? undefined : { status: 200, header, body: "<html>" }));
  assert.equal((await s.run(rejection(s.client.tools()))).code, "offline");
  assert.ok(Math.abs(s.client.now() - s.service.now()) < 2_000);
});

test("a look that was overtaken by a newer one changes nothing", async () => {
  const s = stand();
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_pay", { amount: 5, note: "tea" });
  await s.time.until(() => handle.status === "awaiting_approval");
  await s.time.advance(1_000);
  const { server } = s.phone;
  // A poll that the service answers before the decision, and that arrives after it.
  s.phone.server = async (request) => {
    const response = await server(request);
    if (request.method === "GET" && !request.url.includes("wait=")) await new Promise<void>((resolve) => s.time.setTimeout(resolve, 5_000));
    return response;
  };
  const statuses: string[] = [];
  const read = s.client.follow(handle.requestId) as unknown as { ask_(method: "GET"): Promise<unknown> };
  const late = read.ask_("GET");
  await s.time.advance(10);
  handle.onProgress(({ status }) => statuses.push(status));
  void handle.approve();
  await s.run(late);
  await s.time.advance(10);
  assert.equal(handle.status, "queued", statuses.join());
});

test("an intent that was sent and is forgotten by the service is not sent anew, whatever time was once seen", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = ["answer lost"];
  s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.effects("tea") === 1);
  s.phone.kill();
  const outbox = JSON.parse(s.phone.stored.get(OUTBOX)!);
  outbox.seen = outbox.all[0].seen = Date.UTC(2099, 0);
  s.phone.stored.set(OUTBOX, JSON.stringify(outbox));
  await s.time.advance(40 * 24 * HOUR_MS);
  s.service.jobs.clear();
  const client = s.restart();
  const [handle] = client.open();
  await s.time.until(() => handle!.over);
  assert.deepEqual([handle!.error?.code, handle!.error?.effect, s.effects("tea")], ["request_id_expired", "unknown", 1]);
});
