import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { mock, test } from "node:test";
import demo, { stableId } from "../../local/demo-tools/index.js";
import { canonical, digestOf } from "../canonical.js";
import { toolGuard } from "../tool-guard.js";
import { Journal } from "../journal.js";
import plugin from "../index.js";
import { Reach } from "../reach.js";
import { foundEnd } from "../transcript.js";
import { TurnRunner } from "../turn-run.js";
import { temporaryFolder } from "./support/mini.mjs";

const HOUR_MS = 3_600_000;
const DIRECT = "http-direct-operator-";

function folder(t) {
  const made = temporaryFolder("plugin");
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

function journalIn(t) {
  const file = path.join(folder(t), "journal.db");
  return new Journal({ file, retentionMs: 24 * HOUR_MS, resultCap: 1000 });
}

test("the canonical form sorts names, keeps order of lists and writes numbers one way", () => {
  const value = { b: [2, 1], a: { d: null, c: 1e2 }, "\u20ac": "\u20ac" };
  assert.equal(canonical(value), '{"a":{"c":100,"d":null},"b":[2,1],"€":"€"}');
  assert.equal(digestOf({ a: 1, b: 2 }), digestOf({ b: 2, a: 1 }));
  assert.notEqual(digestOf({ a: "1" }), digestOf({ a: 1 }));
});

test("a ticket is good for one tool, one set of arguments and one call", (t) => {
  const journal = journalIn(t);
  const decide = toolGuard(journal, { guard: new Set(["pay"]), reads: new Set() });
  const args = { amount: 1 };
  const ticket = () => journal.tickets.set("k~1", { tool: "pay", digest: digestOf(args) });
  const call = { toolName: "pay", params: args, toolCallId: `${DIRECT}k~1` };
  const isBlocked = (event) => decide(event, {})?.block === true;
  assert.ok(isBlocked(call));
  ticket();
  assert.ok(!isBlocked(call));
  assert.ok(isBlocked(call), "used twice");
  const otherName = { toolName: "PAY ", params: {} };
  for (const wrong of [{ params: { amount: 2 } }, otherName, { toolCallId: "rpc-delegated-k~1" }]) {
    ticket();
    assert.ok(isBlocked({ ...call, ...wrong }), JSON.stringify(wrong));
  }
  assert.ok(!isBlocked({ ...call, toolName: "another" }));
});

test("both registrations of a process share one journal", (t) => {
  const apis = ["full", "discovery"].map((registrationMode) => {
    const seen = { hooks: [], routes: [], tools: [] };
    plugin.register({
      registrationMode, pluginConfig: { db: path.join(folder(t), "journal.db"), guard: ["pay"] }, config: {},
      on: (name, handler, { priority }) => seen.hooks.push({ name, handler, priority }),
      registerTool: ({ name }) => seen.tools.push(name),
      registerHttpRoute: ({ path: route, auth }) => seen.routes.push(`${auth} ${route}`),
    });
    return seen;
  });
  const [full, discovery] = apis;
  for (const { hooks, tools } of apis) {
    assert.deepEqual(hooks.map(({ name }) => name), ["before_tool_call", "after_tool_call"]);
    assert.ok(hooks[0].priority < -100_000);
    assert.deepEqual(tools, ["miniprogram_canary"]);
  }
  assert.equal(full.routes.length, 9);
  assert.ok(full.routes.every((route) => route.startsWith("gateway /miniprogram/v1/")));
  assert.deepEqual(discovery.routes, []);
  const { tickets } = globalThis[Symbol.for("miniprogram-journal.v1")];
  tickets.set("k~1", { tool: "pay", digest: digestOf({}) });
  const call = { toolName: "pay", params: {}, toolCallId: `${DIRECT}k~1` };
  assert.equal(discovery.hooks[0].handler(call, {}), undefined);
  assert.equal(full.hooks[0].handler(call, {}).block, true);
});

/** Opens a turn with the run `k`. */
function openTurn(journal) {
  const session = "agent:main:miniprogram:u:c";
  const limits = { proposals: true, callsAtMost: 9, timeoutMs: HOUR_MS };
  const call = { key: "k", session, agent: "main", tools: ["read"], digest: "d", state: "started", ...limits };
  journal.book.claim(call);
  return journal.book.ofSession(session);
}

test("a turn that is being stopped may call no tool", (t) => {
  const journal = journalIn(t);
  const turn = openTurn(journal);
  const decide = toolGuard(journal, { guard: new Set(), reads: new Set(["read"]), reach: new Reach({}) });
  const event = { toolName: "read", params: {}, toolCallId: "1" };
  const call = () => decide(event, { runId: "k", sessionKey: turn.session });
  assert.equal(call(), undefined);
  turn.stopping = "turn_aborted";
  assert.match(call().blockReason, /not_allowed/);
});

test("only the run of a turn is stopped, not one that has its session meanwhile", async (t) => {
  const turn = openTurn(journalIn(t));
  const stopped = [];
  const gateway = { stop: async (session) => stopped.push(session) };
  const runner = new TurnRunner({ ofSession: () => turn }, gateway);
  const begun = { sessionKey: turn.session, stream: "lifecycle", data: { phase: "start" } };
  const begins = (runId) => runner.heard({ ...begun, runId });
  begins("announce:v1:child");
  await runner.stop(turn, "turn_aborted");
  assert.deepEqual(stopped, []);
  begins("k");
  await runner.stop(turn, "turn_aborted");
  assert.deepEqual(stopped, [turn.session]);
});

test("the reply of an earlier turn is not the reply to a message without one", () => {
  const said = (key) => ({ role: "user", content: key, idempotencyKey: `${key}:user` });
  const reply = { role: "assistant", content: [{ type: "text", text: "one" }], stopReason: "stop" };
  assert.equal(foundEnd([said("first"), reply], "second"), null);
  assert.equal(foundEnd([said("first"), reply, said("second")], "second"), null);
  assert.equal(foundEnd([], "second"), null);
  assert.deepEqual(foundEnd([said("first"), reply, said("second"), reply], "second"), { reply: "one" });
});

test("other registration modes register no route and no tool", () => {
  const fail = () => assert.fail("registered");
  plugin.register({ registrationMode: "cli-metadata", on: fail, registerTool: fail, registerHttpRoute: fail });
});

test("rows past the retention are pruned every hour", (t) => {
  mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.now() });
  t.after(() => mock.timers.reset());
  const journal = journalIn(t);
  const [done, running] = ["done", "running"].map((key) => journal.claim({ key, state: "started" }));
  journal.finish(done, { state: "finished", status: 200, result: null });
  journal.pruneHourly();
  for (let hour = 0; hour < 24; hour += 1) mock.timers.tick(HOUR_MS);
  assert.ok(journal.find(done.key));
  mock.timers.tick(HOUR_MS);
  assert.equal(journal.find(done.key), undefined);
  assert.ok(journal.find(running.key));
});

test("a demo call is the same call under every ticket and number", () => {
  const ids = ["u.r.0.0.0~t1", "u.r.0.0.1~t2", "u.r.0.0.7"].map((id) => stableId(DIRECT + id));
  assert.deepEqual(new Set(ids), new Set(["u.r.0.0"]));
  assert.notEqual(stableId(`${DIRECT}u.r.1.0.0~t`), "u.r.0.0");
});

test("a torn last line of the ledger costs that line only", async (t) => {
  const file = path.join(folder(t), "ledger.jsonl");
  const tools = new Map();
  demo.register({ pluginConfig: { file }, registerTool: (tool) => tools.set(tool.name, tool) });
  await tools.get("ledger_append").execute("one", { note: "1" });
  fs.appendFileSync(file, '{"at":1,"op":"app');
  await tools.get("ledger_append").execute("two", { note: "2" });
  const { details } = await tools.get("ledger_read").execute("read", {});
  assert.deepEqual(details.lines.map(({ note }) => note), ["1", "2"]);
});
