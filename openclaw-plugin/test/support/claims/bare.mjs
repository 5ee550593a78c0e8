import assert from "node:assert/strict";
import { until } from "../client.mjs";

const append = (note) => ({ tool: "ledger_append", args: { note } });

/** Behaviour of a gateway without the journal: the reasons for the journal, and the contract of the mini gateway. */
export const bareClaims = {
  async "without the journal every route of it is a plain 404"(gateway) {
    for (const token of [gateway.token, "wrong"]) {
      const { status, body } = await gateway.request("GET", "/miniprogram/v1/health", undefined, { token });
      assert.deepEqual([status, body], [404, "Not Found"]);
    }
    const key = gateway.key();
    assert.equal((await gateway.append(key)).status, 404);
    assert.deepEqual(gateway.effects(key), []);
  },

  async "the gateway runs what is repeated again"(gateway) {
    const key = gateway.key();
    for (let call = 0; call < 2; call += 1) {
      assert.equal((await gateway.direct({ ...append("x"), idempotencyKey: key })).status, 200);
    }
    assert.deepEqual(gateway.effects(key), ["append", "append"]);
  },

  async "the gateway runs a tool whatever its arguments are"(gateway) {
    const key = gateway.key();
    const { status, body } = await gateway.direct({ tool: "ledger_append", args: "text", idempotencyKey: key });
    assert.deepEqual([status, body.ok], [200, true]);
    assert.deepEqual(gateway.effects(key), ["append"]);
  },

  async "the gateway aborts a tool whose caller hangs up"(gateway) {
    const key = gateway.key();
    const hangUp = new AbortController();
    const call = { tool: "ledger_sleep", args: { ms: 60_000 }, idempotencyKey: key };
    const lost = gateway.request("POST", "/tools/invoke", call, { signal: hangUp.signal });
    await gateway.started(key);
    hangUp.abort();
    await assert.rejects(lost, { name: "AbortError" });
    await until("the tool was aborted", () => gateway.effects(key).includes("sleep_aborted"));
  },

  async "the gateway hides the text of an error, but not of an input error"(gateway) {
    const failing = async (kind) => {
      const { status, body } = await gateway.direct({ tool: "ledger_fail", args: { kind } });
      return { status, body };
    };
    const hidden = { ok: false, error: { type: "tool_error", message: "tool execution failed" } };
    assert.deepEqual(await failing("throw"), { status: 500, body: hidden });
    const shown = { ok: false, error: { type: "tool_error", message: "the ledger failed as asked: input" } };
    assert.deepEqual(await failing("input"), { status: 400, body: shown });
    const reported = await failing("result");
    assert.deepEqual([reported.status, reported.body.ok, reported.body.result.isError], [200, true, true]);
  },

  async "the gateway refuses in these shapes"(gateway) {
    const unknown = await gateway.direct({ tool: "no_such_tool" });
    const message = "Tool not available: no_such_tool";
    assert.deepEqual([unknown.status, unknown.body], [404, { ok: false, error: { type: "not_found", message } }]);
    const nameless = await gateway.direct({});
    assert.deepEqual([nameless.status, nameless.body.error.type], [400, "invalid_request"]);
    const garbled = await gateway.direct("{");
    assert.deepEqual([garbled.status, garbled.body.error.type], [400, "invalid_request_error"]);
    const got = await gateway.request("GET", "/tools/invoke");
    assert.deepEqual([got.status, got.body, got.headers.get("allow")], [405, "Method Not Allowed", "POST"]);
    const stranger = await gateway.request("POST", "/tools/invoke", append("x"), { token: "wrong" });
    assert.deepEqual([stranger.status, stranger.body.error.type], [401, "unauthorized"]);
    const large = await gateway.direct(append("x".repeat(2 * 1024 * 1024 + 1)));
    assert.deepEqual([large.status, large.body.error.message], [413, "Payload too large"]);
    assert.equal(stranger.headers.get("keep-alive"), "timeout=5");
  },
};
