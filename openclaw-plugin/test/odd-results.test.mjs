// The outcome of a call does not depend on whether the content of its result can be read.
import assert from "node:assert/strict";
import http from "node:http";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { callTool } from "../loopback.js";
import { Mini } from "./support/mini.mjs";

const HALF = { nickname: "half \ufffd", "\ufffd as a name": [1] };

/** What an entry shows of a call of `odd_result`: whether the result is whole, shown in part, or omitted. */
async function shownOf(gateway, args) {
  const key = gateway.key();
  const { status, body } = await gateway.invoke({ key, tool: "odd_result", args });
  const again = (await gateway.outcome(key)).body.entry;
  assert.deepEqual([status, again], [200, { ...body.entry, replayed: true }]);
  const { state, status: answered, result, truncated, omitted } = body.entry;
  assert.deepEqual([state, answered], ["finished", 200], JSON.stringify(args));
  return { details: result?.result?.details, isError: result?.result?.isError, truncated, omitted };
}

const nested = (levels) => JSON.parse("[".repeat(levels) + '"deep"' + "]".repeat(levels));

test("a call whose tool has run is `finished`, whatever the tool returned", async (t) => {
  const gateway = await Mini.start(t);
  const [whole, none] = [{ isError: undefined, truncated: false, omitted: null }, { details: undefined, isError: undefined }];
  assert.deepEqual(await shownOf(gateway, { kind: "half" }), { ...whole, details: HALF });
  assert.deepEqual(await shownOf(gateway, { kind: "deepest" }), { ...whole, details: nested(63) });
  assert.deepEqual(await shownOf(gateway, { kind: "too_deep" }), { ...none, truncated: false, omitted: "too_deep" });
  for (const kind of ["poison", "proto"]) {
    assert.deepEqual(await shownOf(gateway, { kind }), { ...none, truncated: false, omitted: "unreadable" }, kind);
  }
  for (const kind of ["long", "huge"]) {
    assert.deepEqual(await shownOf(gateway, { kind }), { ...none, truncated: true, omitted: "too_large" }, kind);
  }
});

test("a result of 64 KiB is kept and one more byte is too large, whatever stands around it", async (t) => {
  const gateway = await Mini.start(t);
  for (const [bytes, omitted] of [[65_515, null], [65_516, null], [65_536, null], [65_537, "too_large"]]) {
    assert.equal((await shownOf(gateway, { kind: "sized", bytes })).omitted, omitted, `${bytes}`);
  }
});

test("a response that exceeds the cap and is cut off is not reported as a success", async (t) => {
  const server = http.createServer((_req, res) => res.end(`{"ok":true,"result":{"details":"${"a".repeat(5_000_000)}`));
  t.after(() => server.close());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const call = { port: server.address().port, tool: "t", args: {}, ticket: "k", cap: 65_536 };
  assert.equal((await callTool(call)).verdict, "lost");
});

test("a tool's reported failure is kept even when its result is omitted", async (t) => {
  const gateway = await Mini.start(t);
  for (const [kind, omitted] of [["half", null], ["too_deep", "too_deep"], ["poison", "unreadable"], ["long", "too_large"], ["huge", "too_large"]]) {
    const shown = await shownOf(gateway, { kind, fails: true });
    assert.deepEqual([shown.isError, shown.omitted], [true, omitted], kind);
  }
});

test("a row written by an older plugin is shown with well-formed text and an unchanged state", async (t) => {
  const gateway = await Mini.start(t);
  const rows = {
    '{"ok":true,"result":{"details":"half \\ud83d"}}': [{ ok: true, result: { details: "half \ufffd" } }, null],
    '{"ok":true,"result":{"$serde_json::private::Number":"1"}}': [null, "unreadable"],
    [`{"ok":true,"result":${"[".repeat(200)}${"]".repeat(200)}}`]: [null, "too_deep"],
  };
  for (const [text, [result, omitted]] of Object.entries(rows)) {
    const key = gateway.key();
    await gateway.append(key);
    const file = new DatabaseSync(gateway.db);
    file.prepare("UPDATE calls SET result = ? WHERE key = ?").run(text, key);
    file.close();
    const { entry } = (await gateway.outcome(key)).body;
    assert.deepEqual([entry.state, entry.status, entry.result, entry.omitted], ["finished", 200, result, omitted]);
  }
});

test("a request that JSON readers interpret differently is refused before a key is claimed", async (t) => {
  const gateway = await Mini.start(t);
  const odd = [
    '{"note":"half \\ud83d"}', '{"\\ud83d":1}', '{"$serde_json::private::RawValue":"1"}', '{"a":{"__proto__":1}}',
    // V8 may read such a name as another one.
    '{"a":1,"\\n":1}', '{"a":{"b\\"":1}}', '{"\\u0061" : 1}',
  ];
  for (const args of odd) {
    const key = gateway.key();
    const answer = await gateway.invoke(`{"key":"${key}","tool":"ledger_append","args":${args}}`);
    assert.deepEqual([answer.status, answer.body.error?.type], [400, "invalid_request"], args);
    assert.equal((await gateway.outcome(key)).body.entry, null);
  }
  const [key, note] = [gateway.key(), 'a "quoted": text\\ with : and \ud83d\ude00 and \u2028'];
  assert.equal((await gateway.invoke({ key, tool: "ledger_append", args: { note } })).status, 200);
  assert.equal(gateway.lines().at(-1).note, note);
});

test("an answer holds no line separator that ends a string in JavaScript", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.invoke({ key: gateway.key(), tool: "ledger_append", args: { note: "a\u2028b\u2029c" } });
  const response = await fetch(`http://127.0.0.1:${gateway.port}/miniprogram/v1/invoke`, {
    method: "POST", headers: { authorization: `Bearer ${gateway.token}` },
    body: JSON.stringify({ key: gateway.key(), tool: "ledger_read" }),
  });
  const text = await response.text();
  assert.ok(text.includes("a\\u2028b\\u2029c") && !/[\u2028\u2029]/.test(text));
});
