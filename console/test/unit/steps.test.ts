import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobStep, JobView } from "../../src/api/shapes.ts";
import { askedOf, atCursor, isPlain, nameOf, numberOf } from "../../src/parts/steps.ts";

const turn = (round: number): JobStep => ({ kind: "turn", agent: "main", step: 0, round });
const call = (step: number, round: number): JobStep => ({ kind: "call", tool: `tool_${step}_${round}`, step, round, ...(round > 0 ? { proposed: true } : {}) });
const view = (steps: JobStep[], cursor: number, place?: number): JobView => ({
  request_id: "r", status: "running", cursor, steps, support_code: "s", not_after: "", created_at: "", updated_at: "",
  ...(place === undefined ? {} : { approval: { place, approver: "operator", digest: "d", title: "T", summary: "", arguments: {}, expires_at: "" } }),
});
const grown = [turn(0), call(0, 1), turn(2), call(1, 0)];

test("a job is about the step at its cursor, and about the last one when it is over", () => {
  assert.deepEqual([0, 1, 3, 4].map((cursor) => nameOf(atCursor(view(grown, cursor)))), ["main", "tool_0_1", "tool_1_0", "tool_1_0"]);
  assert.equal(nameOf(atCursor(view([], 0))), "");
});

test("the approval applies to the requested call, wherever the cursor is now", () => {
  for (const cursor of [1, 2, 4]) assert.equal(nameOf(askedOf(view(grown, cursor, 1))), "tool_0_1");
  assert.equal(askedOf(view(grown, 1)), undefined);
  assert.equal(nameOf(askedOf(view(grown, 1, 9))), "");
});

test("the calls that an agent made in a step are counted under that step", () => {
  assert.deepEqual(grown.map(numberOf), ["1", "1.1", "1.2", "2"]);
});

test("only a single call is said in one line", () => {
  assert.equal(isPlain(view([call(0, 0)], 0)), true);
  for (const steps of [[turn(0)], [call(0, 0), call(1, 0)], []]) assert.equal(isPlain(view(steps, 0)), false);
});
