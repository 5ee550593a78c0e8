// The library, the foreign client and the demo's step against the service itself, with the mini gateway.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nodeWx } from "../dev/node-wx.ts";
import { type Live, startService } from "../sim/live.ts";
import { aguiTransport } from "../src/agui.ts";
import type { AguiEvent } from "../src/agui.ts";
import { createClient } from "../src/client.ts";
import { phoneClock } from "../src/clock.ts";
import type { ClientError } from "../src/types.ts";
import { append, foreign } from "./foreign.ts";

const skip = process.env["LOCAL"] ? false : "LOCAL names no service binary";
let live: Live;
before(async () => {
  if (!skip) live = await startService(`${tmpdir()}/openclaw-client-${process.pid}`);
});
after(() => live?.stop());

test("a call, a payment with its approval, reads and an audit chain", { skip }, async () => {
  const client = createClient({ baseUrl: live.url, wx: nodeWx({ user: "library" }) });
  try {
    const noted = await client.submit("ledger_append", { note: "from the library" }).result();
    assert.equal(noted.status, "succeeded");
    const payment = client.submit("ledger_pay", { amount: 120, note: "tea for the library" });
    await new Promise<void>((resolve) => payment.onProgress(({ status }) => status === "awaiting_approval" && resolve()));
    assert.equal(payment.job?.approval?.summary, 'Pay 120: "tea for the library"');
    assert.equal(live.effects().get("tea for the library"), undefined);
    assert.equal((await payment.approve()).approval?.decision, "approve");
    assert.equal((await payment.result()).status, "succeeded");
    assert.equal(live.effects().get("tea for the library"), 1);
    assert.ok((await client.tools()).some(({ name }) => name === "ledger_pay"));
    assert.deepEqual((await client.agents()).map(({ name }) => name), ["main"]);
    assert.equal((await client.jobs({ limit: 2 })).jobs.length, 2);
    assert.ok((await client.audit(payment.requestId)).records.length >= 5);
    assert.deepEqual(client.open(), []);
    const error = await client.submit("ledger_append", { note: 7 }).result().then(() => undefined, (caught: ClientError) => caught);
    assert.ok(error?.code === "arguments_invalid");
    assert.equal(error.problem.errors[0]!.pointer, "/note");
    await client.logout();
    assert.equal((await client.login()).userId.length, 36);
  } finally {
    client.close();
  }
});

test("a turn is a run of AG-UI, and its conversation can be deleted", { skip }, async () => {
  const client = createClient({ baseUrl: live.url, wx: nodeWx({ user: "talker" }) });
  try {
    const events: AguiEvent[] = [];
    const transport = aguiTransport(client);
    const said = 'Pay, please. [[tool:ledger_pay {"amount":5,"note":"agent\'s tea"}]] [[say:May I?]] [[then]] [[say:Paid.]]';
    await transport.run({ threadId: "tea", runId: "run-1", messages: [{ id: "m", role: "user", content: said }], tools: [], context: [] }, (event) => events.push(event)).done;
    const finished = events.at(-1)!;
    assert.ok(finished.type === "RUN_FINISHED" && finished.outcome.type === "interrupt", JSON.stringify(finished));
    const resume = [{ interruptId: finished.outcome.interrupts[0]!.id, status: "resolved" as const, payload: { approved: true } }];
    const next: AguiEvent[] = [];
    await transport.run({ threadId: "tea", runId: "run-2", messages: [], tools: [], context: [], resume }, (event) => next.push(event)).done;
    assert.deepEqual(next.at(-1), { type: "RUN_FINISHED", threadId: "tea", runId: "run-2", outcome: { type: "success" }, result: { reply: "Paid.", ai_generated: true } });
    assert.equal(live.effects().get("agent's tea"), 1);
    assert.deepEqual((await client.conversations()).conversations.map(({ conversation }) => conversation), ["tea"]);
    assert.equal((await (await client.deleteConversation("tea")).result()).status, "succeeded");
    assert.deepEqual((await client.conversations()).conversations, []);
  } finally {
    client.close();
  }
});

test("a foreign client, written from docs/api alone, works", { skip }, async () => {
  const wx = nodeWx({ user: "foreign" });
  const { request } = wx;
  // The default of wx.request: JSON is parsed.
  wx.request = (options) => request({ ...options, timeout: 60_000, success: (response) => options.success({ ...response, data: JSON.parse(String(response.data)) }) });
  const stored = new Map<string, unknown>();
  Object.assign(wx, {
    getStorageSync: (key: string) => stored.get(key) ?? "", setStorageSync: (key: string, value: unknown) => stored.set(key, value),
    removeStorageSync: (key: string) => stored.delete(key),
  });
  const job = await foreign(wx, phoneClock, live.url)(append("from a foreign client"));
  assert.equal(job.status, "succeeded");
  assert.equal(live.effects().get("from a foreign client"), 1);
  assert.deepEqual([...stored.keys()], ["token"]);
});

test("the step of make demo makes one job of a double tap, a lost answer and a killed app", { skip }, async () => {
  const demo = fileURLToPath(new URL("../demo.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [demo, live.url, "demo", "one green tea"]);
  assert.match(stdout.trimEnd().split("\n").at(-1)!, /^[0-9a-f-]{36}$/);
  assert.equal(live.effects().get("one green tea"), 1);
});
