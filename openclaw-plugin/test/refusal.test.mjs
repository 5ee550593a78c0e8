import assert from "node:assert/strict";
import { test } from "node:test";
import { isFinal } from "../refusal.js";

const refusal = (message, more) => Object.assign(new Error(message), { gatewayCode: "INVALID_REQUEST", ...more });

test("a refusal is final whatever the session key in it is called", () => {
  const names = ["retry", "session_work_start_changed", "x; retry", "is still initializing. retry"];
  for (const name of names) {
    for (const key of [`agent:main:miniprogram:mp-x:${name}`, `"agent:main:miniprogram:mp-x:${name}"`]) {
      assert.equal(isFinal(refusal(`Session ${key} is archived.`)), true, key);
    }
  }
  assert.equal(isFinal(refusal("missing scope: operator.admin; never retry", { gatewayCode: "FORBIDDEN" })), true);
});

test("a refusal in which the gateway asks for another try is not final", () => {
  const key = "agent:main:miniprogram:mp-x:retry";
  for (const message of [
    `Session "${key}" was deleted while starting work. Retry.`,
    `Session "${key}" changed while starting work. Retry.`,
    `Session "${key}" changed while starting work. Retry. | SESSION_WORK_START_CHANGED`,
    `Session "${key}" is still initializing. Retry after initialization completes.`,
    `Session "${key}" workspace is not ready. Wait for setup to finish or retry in chat.`,
    `Session ${key} changed; retry send.`,
    "main-session recovery owner changed during ingress preparation; retry",
    `Session "${key}" has interrupted work pending restart recovery; retry through a healthy Gateway or reset it.`,
  ]) {
    assert.equal(isFinal(refusal(message)), false, message);
  }
  assert.equal(isFinal(refusal("refused", { retryable: true })), false);
  assert.equal(isFinal(refusal("refused", { gatewayCode: "UNAVAILABLE" })), false);
});
