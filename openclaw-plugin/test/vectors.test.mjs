// The shared vectors, which the service, the console and the Python verifier read as well: docs/design/text.md.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { canonical } from "../canonical.js";
import { cut, isBlank, wellFormed } from "../text.js";

const vectors = JSON.parse(readFileSync(new URL("../../tests/vectors/text.json", import.meta.url), "utf8"));
const textOf = ({ text, hex }) => (hex === undefined ? text : Buffer.from(hex, "hex").toString("utf8"));

/**
 * What the plugin sees is what JSON.parse has made of a text: of a key that stood twice it has one, of a number that no
 * double holds it has infinity. And V8 13.6 misreads keys that are written with an escape.
 */
const visible = vectors.json.filter((vector) => !vector.text_only && !vector.escaped_key);

test("texts of tools and models follow the shared vectors: shown or omitted", () => {
  assert.ok(visible.length > 250);
  for (const vector of visible) {
    const isNone = vector.client.refused === "syntax";
    if (isNone) {
      assert.throws(() => JSON.parse(textOf(vector)), vector.name);
      continue;
    }
    const { value, omitted } = wellFormed(JSON.parse(textOf(vector)), 64);
    const said = omitted === undefined ? { canonical: canonical(value) } : { omitted };
    assert.deepEqual(said, vector.foreign, vector.name);
  }
});

test("a text that a client may send is unchanged", () => {
  for (const vector of visible.filter(({ client }) => client.canonical !== undefined)) {
    const { value, mended } = wellFormed(JSON.parse(textOf(vector)), 64);
    assert.deepEqual([canonical(value), mended], [vector.client.canonical, false], vector.name);
  }
});

test("a text is blank or not, as long as its code points, and cut between two of them", () => {
  for (const { text, blank } of vectors.blank) assert.equal(isBlank(text), blank, JSON.stringify(text));
  for (const { text, code_points: count } of vectors.length) assert.equal([...text].length, count, JSON.stringify(text));
  for (const { text, at_most: most, cut: expected } of vectors.cut) assert.equal(cut(text, most), expected);
});
