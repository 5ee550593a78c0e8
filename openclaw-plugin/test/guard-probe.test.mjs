import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { probeGuard } from "../guard-probe.js";
import { Mini } from "./support/mini.mjs";

const TOOLS = "/tools/invoke";
const OURS = { error: { type: "tool_call_blocked", message: "miniprogram-journal: ticket_required" } };
const JOURNAL = { boot: "b", tickets: new Map(), resultCap: 1000, confirm: () => true };

/** The result of the guard probe at a gateway that gives these responses in turn, and the requests that it made. */
async function trial(t, ...answers) {
  const asked = [];
  const server = http.createServer(async (req, res) => {
    const body = JSON.parse((await req.toArray()).join(""));
    asked.push({ ...body, authorization: req.headers.authorization, tickets: [...JOURNAL.tickets.keys()] });
    const [status, answer = {}] = answers.shift() ?? ["reset"];
    if (status === "reset") return req.socket.resetAndDestroy();
    return res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const target = { port: server.address().port, authorization: "Bearer of the caller" };
  const { status, body } = await probeGuard(JOURNAL, {}, target);
  assert.equal(JOURNAL.tickets.size, 0);
  return { status, fence: body.fence, asked };
}

test("the guard probe calls without a ticket, then with one, each time with its caller's credential", async (t) => {
  const { fence, asked } = await trial(t, [403, OURS], [200]);
  assert.equal(fence, "holds");
  const [around, through] = asked;
  const call = { tool: "miniprogram_canary", args: {}, authorization: "Bearer of the caller" };
  assert.deepEqual(around, { ...call, tickets: [] });
  assert.match(through.idempotencyKey, /^canary\.b~/);
  assert.deepEqual(through, { ...call, idempotencyKey: through.idempotencyKey, tickets: [through.idempotencyKey] });
});

test("a tool guard that blocks every call is not proven", async (t) => {
  for (const second of [[403, OURS], [404], [500], [503], ["reset"]]) {
    const { status, fence } = await trial(t, [403, OURS], second);
    assert.deepEqual([status, fence], [200, "unproven"], String(second));
  }
});

test("a block by another plugin or policy does not prove the tool guard", async (t) => {
  const another = { error: { type: "tool_call_blocked", message: "another plugin: ticket_required" } };
  const forbidden = { error: { ...OURS.error, type: "forbidden" } };
  const long = { error: { ...OURS.error, more: "x".repeat(20_000) } };
  for (const body of [another, forbidden, long, {}, "text", 7, null]) {
    const { status, fence, asked } = await trial(t, [403, body]);
    assert.deepEqual([status, fence, asked.length], [200, "unproven", 1]);
  }
});

test("a gateway that runs the guard probe without a ticket is reported as broken, once", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.control("next", { path: TOOLS, action: "status", status: 200 });
  const { status, body } = await gateway.canary();
  assert.deepEqual([status, body.ok, body.fence], [200, true, "broken"]);
  assert.equal((await gateway.canary()).body.fence, "holds");
  assert.equal((await gateway.control("stats")).counts[TOOLS], 3);
});

test("a guard probe that the gateway does not start is reported, any other response is inconclusive", async (t) => {
  const gateway = await Mini.start(t);
  for (const [status, retryAfter] of [[401, null], [408, null], [429, "1"], [503, "1"]]) {
    await gateway.control("next", { path: TOOLS, action: "status", status });
    const answer = await gateway.canary();
    assert.deepEqual([answer.status, answer.body.error], [503, { type: "not_started", status }]);
    assert.equal(answer.headers.get("retry-after"), retryAfter);
  }
  const orders = [403, 404, 500].map((status) => ({ action: "status", status }));
  for (const order of [...orders, { action: "reset_before" }]) {
    await gateway.control("next", { path: TOOLS, ...order });
    const { status, body } = await gateway.canary();
    assert.deepEqual([status, body.fence], [200, "unproven"], JSON.stringify(order));
  }
  assert.equal((await gateway.canary()).body.fence, "holds");
});

test("the tool guard is proven while the journal cannot be written, because the probe writes nothing", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.whileLocked(async () => assert.equal((await gateway.canary()).body.fence, "holds"));
  assert.deepEqual(gateway.rows("SELECT * FROM calls"), []);
});
