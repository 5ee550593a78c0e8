import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fields, Head, Json } from "../../src/api/shapes.ts";
import { digestOf, verify } from "../../src/audit/chain.ts";

/** A chain as the service makes it. */
async function chain(length: number): Promise<{ records: Fields[]; head: Head; digests: string[] }> {
  const records: Fields[] = [];
  const digests: string[] = [];
  let prev = "A".repeat(43);
  for (let seq = 1; seq <= length; seq += 1) {
    records.push({ v: 1, request_id: "job", seq, at: `2026-01-01T00:00:0${seq}.000Z`, actor: "worker", event: "ended", tool: "ü", prev });
    prev = await digestOf(records[seq - 1] as Json);
    digests.push(prev);
  }
  return { records, head: { length, digest: prev }, digests };
}

const owner = { request_id: "job" };

test("the digest is the SHA-256 of the canonical form, whatever the order of the fields", async () => {
  // echo -n '{"a":"é","b":[1,0.5]}' | openssl dgst -sha256 -binary | base64, made URL-safe
  assert.equal(await digestOf({ b: [1.0, 5e-1], a: "\u00e9" }), await digestOf(JSON.parse('{"a":"\\u00e9","b":[1,0.5]}') as Json));
  assert.equal(await digestOf({}), "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
});

test("a whole chain verifies, an empty one too", async () => {
  for (const length of [0, 1, 4]) {
    const { records, head } = await chain(length);
    assert.deepEqual(await verify({ records, head, owner }), { ok: true, length, anchored: "no" });
  }
});

const tamperings: [string, (records: Fields[]) => unknown, number, string][] = [
  ["a field changed in the middle", (r) => { r[1]!["tool"] = "other"; }, 3, "unlinked"],
  ["a field added in the middle", (r) => { r[1]!["extra"] = 1; }, 3, "unlinked"],
  ["a field removed in the middle", (r) => { delete r[1]!["actor"]; }, 3, "unlinked"],
  ["the last record changed", (r) => { r[3]!["tool"] = "other"; }, 4, "head"],
  ["the first record's predecessor changed", (r) => { r[0]!["prev"] = "B".repeat(43); }, 1, "unlinked"],
  ["a record removed", (r) => r.splice(1, 1), 2, "misplaced"],
  ["two records swapped", (r) => r.splice(1, 2, r[2]!, r[1]!), 2, "misplaced"],
  ["a record twice", (r) => r.splice(1, 0, r[1]!), 3, "misplaced"],
  ["the end cut off", (r) => r.splice(2), 2, "head"],
  ["everything cut off", (r) => r.splice(0), 0, "head"],
  ["a record of another job", (r) => { r[2]!["request_id"] = "another"; }, 3, "misplaced"],
  ["a text in place of a record", (r) => r.splice(2, 1, "x" as unknown as Fields), 3, "unreadable"],
  ["a number in place of the link", (r) => { r[2]!["prev"] = 1; }, 3, "unreadable"],
  ["a text that is no Unicode", (r) => { r[3]!["tool"] = "\ud800"; }, 4, "unreadable"],
];
for (const [what, tamper, place, fault] of tamperings) {
  test(`tampering is named: ${what}`, async () => {
    const { records, head } = await chain(4);
    tamper(records);
    assert.deepEqual(await verify({ records, head, owner }), { ok: false, place, fault });
  });
}

test("a checkpoint that names a record's digest makes it proven, and one that contradicts it breaks it", async () => {
  const { records, head, digests } = await chain(3);
  const anchor = { checkpoint: 7, length: 2, digest: digests[1] ?? "" };
  assert.deepEqual(await verify({ records, head, owner, anchor }), { ok: true, length: 3, anchored: "yes" });
  const other = { ...anchor, digest: "C".repeat(43) };
  assert.deepEqual(await verify({ records, head, owner, anchor: other }), { ok: false, place: 2, fault: "anchor" });
});

test("a chain that was cut and given a fitting head contradicts the checkpoint", async () => {
  const whole = await chain(4);
  const cut = await chain(2);
  const anchor = { checkpoint: 7, ...whole.head };
  assert.deepEqual(await verify({ records: cut.records, head: cut.head, owner, anchor }), { ok: false, place: 2, fault: "anchor" });
});

test("a chain that was rewritten from its second record on contradicts the checkpoint", async () => {
  const { records, head } = await chain(3);
  const anchor = { checkpoint: 7, ...head };
  records[1]!["tool"] = "other";
  records[2]!["prev"] = await digestOf(records[1]!);
  const rewritten = { length: 3, digest: await digestOf(records[2]!) };
  assert.deepEqual(await verify({ records, head: rewritten, owner, anchor }), { ok: false, place: 3, fault: "anchor" });
});

test("a complete chain of another job is refused", async () => {
  const { records, head } = await chain(3);
  assert.deepEqual(await verify({ records, head, owner: { request_id: "another" } }), { ok: false, place: 1, fault: "misplaced" });
  assert.deepEqual(await verify({ records, head, owner: { chain: "operators" } }), { ok: false, place: 1, fault: "unreadable" });
});

test("the end of a longer chain is checked from its first record on", async () => {
  const { records, head } = await chain(4);
  const end = records.slice(2);
  assert.deepEqual(await verify({ records: end, head, owner, tail: true }), { ok: true, length: 2, anchored: "no" });
  end[0]!["tool"] = "other";
  assert.deepEqual(await verify({ records: end, head, owner, tail: true }), { ok: false, place: 4, fault: "unlinked" });
});
