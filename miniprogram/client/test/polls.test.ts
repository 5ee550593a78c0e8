// How open jobs are followed: few connections, in the foreground, no more often than the service says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stand } from "./stand.ts";

const polls = (s: ReturnType<typeof stand>): string[] => s.phone.sent.filter(({ method }) => method === "GET").map(({ url }) => url);

test("a long job is held, and costs few polls", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over);
  assert.ok(polls(s).length <= 5, `${polls(s).length} polls in a minute`);
  assert.match(polls(s).at(-1)!, /wait=20$/);
  assert.ok(s.phone.sent.some(({ header }) => header["if-none-match"] === '"1"'), "it names the revision that it has");
});

test("many open jobs take two connections", async () => {
  const s = stand();
  s.phone.latencyMs = 300;
  s.service.tookMs = 20_000;
  const handles = Array.from({ length: 9 }, (_, number) => s.client.submit("ledger_append", { note: `n${number}` }));
  await s.time.until(() => handles.every(({ over }) => over));
  assert.equal(s.phone.mostAtOnce, 2);
});

test("what the user asks for does not wait for a long poll", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  s.service.tookMs = 60_000;
  const handles = ["a", "b"].map((note) => s.client.submit("ledger_append", { note }));
  await s.time.until(() => handles.every(({ status }) => status === "queued"));
  await s.time.advance(3_000);
  const began = s.time.elapsed;
  let tools: unknown;
  void s.client.tools().then((list) => (tools = list));
  await s.time.until(() => tools !== undefined);
  assert.ok(s.time.elapsed - began < 1_000, `${s.time.elapsed - began} ms`);
  await s.time.until(() => handles.every(({ over }) => over));
  assert.equal(handles[0]!.error, undefined);
});

test("in the background nothing is sent, and the foreground goes on at once", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  s.service.tookMs = 30_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  s.phone.background();
  await s.time.advance(100);
  const { length } = s.phone.sent;
  await s.time.advance(600_000);
  assert.equal(s.phone.sent.length, length);
  s.phone.foreground();
  await s.time.until(() => handle.over, 2_000);
  assert.equal(handle.status, "succeeded");
});

test("the background ends a long poll at once, and leaves a submission to its answer", async () => {
  const s = stand();
  s.phone.latencyMs = 20;
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.phone.sent.some(({ url }) => url.endsWith("wait=20")));
  assert.equal(s.phone.inFlight, 1);
  s.phone.background();
  assert.equal(s.phone.inFlight, 0);
  s.phone.foreground();
  s.client.submit("ledger_append", { note: "milk" });
  await s.time.until(() => s.phone.sent.some(({ data }) => data?.includes("milk")));
  s.phone.background();
  assert.equal(s.phone.inFlight, 1);
  assert.equal(handle.error, undefined);
});

test("the service's time as the client has it never goes back, though its machines have several clocks", async () => {
  const s = stand();
  const { server } = s.phone;
  let ahead = 90_000;
  s.phone.server = async (request) => {
    const response = await server(request);
    return { ...response, header: { ...response.header, Date: new Date(s.service.now() + ahead).toUTCString() } };
  };
  await s.run(s.client.tools());
  const before = s.client.now();
  ahead = 0;
  await s.run(s.client.tools());
  assert.ok(s.client.now() >= before, `${s.client.now() - before} ms`);
  const { requestId } = s.client.submit("ledger_append", { note: "tea" });
  assert.ok(parseInt(requestId.replace("-", "").slice(0, 12), 16) >= before, "an id is not older than a time that was seen");
});

test("a status of a newer service is open: it is shown as running and followed to its end", async () => {
  const s = stand();
  s.service.tookMs = 60_000;
  const { server } = s.phone;
  s.phone.server = async (request) => {
    const response = await server(request);
    return { ...response, body: response.body.replace('"status":"queued"', '"status":"waiting_for_the_moon"') };
  };
  const handle = s.client.submit("ledger_append", { note: "tea" });
  const statuses = new Set<string>();
  handle.onProgress(({ status }) => statuses.add(status));
  await s.time.until(() => handle.over, 120_000);
  assert.deepEqual([...statuses], ["stored", "running", "succeeded"]);
  assert.equal(s.effects("tea"), 1);
});

test("a request that the background interrupts is repeated in the foreground, and makes no second job", async () => {
  const s = stand();
  s.phone.latencyMs = 8_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.phone.sent.length === 2);
  s.phone.background();
  await s.time.advance(60_000);
  s.phone.latencyMs = 10;
  s.phone.foreground();
  await s.time.until(() => handle.over);
  assert.equal(s.effects("tea"), 1);
});

test("errno 600003 alone stops what runs by itself until onShow", async () => {
  const s = stand();
  await s.run(s.client.login());
  const { request } = s.phone.start();
  void request;
  const wx = s.phone.start();
  const real = wx.request.bind(wx);
  let interrupted = 0;
  wx.request = (options) => {
    if (!options.url.includes("/v1/jobs") || interrupted > 0) return real(options);
    interrupted += 1;
    queueMicrotask(() => options.fail({ errMsg: "request:fail interrupted", errno: 600003 }));
    return undefined;
  };
  const { createClient } = await import("../src/client.ts");
  const client = createClient({ baseUrl: "https://api.example.com", wx, clock: s.phone.clock });
  const handle = client.submit("ledger_append", { note: "tea" });
  await s.time.advance(300_000);
  assert.deepEqual([handle.status, interrupted], ["stored", 1]);
  client.show();
  await s.time.until(() => handle.over, 5_000);
});

test("header names come in any case", async () => {
  const s = stand();
  s.phone.headerCase = "title";
  s.time.jump(-3_600_000);
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over);
  assert.ok(Math.abs(s.client.now() - s.service.now()) < 2_000);
});

test("an answer that is not the service's is no answer", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fates = [{ status: 200, after: false, code: "" }, { status: 403, after: false, code: "" }];
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.error !== undefined);
  assert.equal(handle.error!.code, "offline");
  await s.time.until(() => handle.over);
  assert.equal(handle.status, "succeeded");
});

test("a job that the service no longer has ends, and says that it may have run", async () => {
  const s = stand();
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  s.service.jobs.clear();
  await s.time.until(() => handle.over);
  assert.deepEqual([handle.error?.code, handle.error?.effect], ["not_found", "unknown"]);
});

test("a job of before is followed by its id", async () => {
  const s = stand();
  const made = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => made.over);
  const handle = s.restart().follow(made.requestId);
  const result = handle.result();
  await s.time.until(() => handle.over);
  assert.equal((await result).status, "succeeded");
});

test("a closed client does nothing any more", async () => {
  const s = stand();
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  s.client.close();
  const { length } = s.phone.sent;
  await s.time.advance(600_000);
  assert.equal(s.phone.sent.length, length);
});

test("a closed client takes no intent, and says so", async () => {
  const s = stand();
  s.client.close();
  for (const take of [() => s.client.submit("ledger_append", { note: "tea" }), () => s.client.say("tea"), () => s.client.run([{ message: "tea" }])]) {
    assert.throws(take, { code: "closed", retryable: false });
  }
  await s.time.advance(60_000);
  assert.equal(s.service.submissions, 0);
  assert.deepEqual(s.restart().open(), []);
});
