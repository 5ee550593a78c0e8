import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import canonicalize from "canonicalize";
import type { Head, Json } from "../../src/api/shapes.ts";
import { verify, type Owner } from "../../src/audit/chain.ts";
import { isBlank } from "../../src/text/blank.ts";

// The rules of docs/design/text.md.
const read = <T>(name: string) =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}`, import.meta.url), "utf8")) as T;

interface TextVectors {
  json: { name: string; text?: string; client: { canonical?: string; refused?: string }; escaped_key?: true }[];
  blank: { text: string; blank: boolean }[];
  length: { text: string; code_points: number }[];
  cut: { text: string; at_most: number; cut: string }[];
}
interface Chains { chains: { name: string; owner: Owner; records: Json[]; head: Head; fault: string | null; place: number | null }[] }

const text = read<TextVectors>("text.json");

test("what the service accepts has the same canonical form here", () => {
  // Node's V8 13.6 misreads keys that are written with an escape.
  const accepted = text.json.filter((one) => one.client.canonical !== undefined && !one.escaped_key);
  assert.ok(accepted.length > 100);
  for (const { name, text, client } of accepted) {
    assert.equal(canonicalize(JSON.parse(text ?? "") as Json), client.canonical, name);
  }
});

test("a text that is not JSON is refused here, too", () => {
  for (const { name, text: json } of text.json.filter((one) => one.client.refused === "syntax")) {
    assert.throws(() => JSON.parse(json ?? ""), name);
  }
});

test("a text is blank or not, and as long as its code points", () => {
  for (const { text: one, blank } of text.blank) assert.equal(isBlank(one), blank, JSON.stringify(one));
  for (const { text: one, code_points } of text.length) assert.equal([...one].length, code_points, JSON.stringify(one));
  for (const { text: one, at_most, cut } of text.cut) assert.equal([...one].slice(0, at_most).join(""), cut);
});

test("a chain is its owner's and whole, or its first broken record is named", async () => {
  const { chains } = read<Chains>("chains.json");
  assert.ok(chains.length > 30);
  for (const { name, owner, records, head, fault, place } of chains) {
    const verdict = await verify({ records, head, owner });
    const found = verdict.ok ? [null, null] : [verdict.fault, verdict.place];
    assert.deepEqual(found, [fault, place], name);
  }
});
