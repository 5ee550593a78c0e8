import assert from "node:assert/strict";
import { test } from "node:test";
import { FailureScan } from "../failure-scan.js";

function scanned(text, size) {
  const [scan, bytes] = [new FailureScan(), Buffer.from(text)];
  for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size));
  return [scan.isComplete, scan.hasFailed];
}

const quoted = JSON.stringify({ ok: true, result: { isError: true } });
const ANSWERS = [
  [{ ok: true, result: { content: [], isError: true } }, true],
  [{ ok: true, result: { isError: true, details: "\\\"}{][" } }, true],
  [{ result: { details: { isError: false }, isError: true }, ok: true }, true],
  [{ ok: true, result: { content: [{ type: "text", text: quoted }], details: { isError: true } } }, false],
  [{ ok: true, result: { isError: false, "isError\\": true, isErrors: true, isErro: true } }, false],
  [{ ok: true, result: { isError: "true" } }, false],
  [{ ok: true, result: { isError: [true] } }, false],
  [{ ok: true, isError: true, result: {} }, false],
  [{ ok: true, result: ["isError", true] }, false],
  [{ ok: true, result: [{ isError: true }] }, false],
  [{ ok: true, other: { isError: true }, result: null }, false],
  [{ ok: true, result: { text: "isError", b: true, "result": { isError: true } } }, false],
];

test("a failure is found where the tool reports it and nowhere else, however the bytes are cut", () => {
  for (const [answer, hasFailed] of ANSWERS) {
    for (const text of [JSON.stringify(answer), JSON.stringify(answer, null, 2)]) {
      for (const size of [1, 2, 7, 1000]) assert.deepEqual(scanned(text, size), [true, hasFailed], text);
    }
  }
});

test("an answer that stops before its end is not complete", () => {
  const text = JSON.stringify({ ok: true, result: { a: "b", isError: true } });
  for (let length = 0; length < text.length; length += 1) assert.equal(scanned(text.slice(0, length), 5)[0], false);
  for (const other of ["", "no JSON", "[]", '"{}"', `${text}{`, "{}}"]) assert.equal(scanned(other, 3)[0], false, other);
});
