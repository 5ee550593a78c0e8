import assert from "node:assert/strict";
import { test } from "node:test";
import { cut, cutToJson, cutToLast, hasEscapedName, isBlank, readableJson, toJson, wellFormed } from "../text.js";

test("a text without a visible character is blank", () => {
  for (const text of ["", " \t\n", "\ufeff", "\u200b\u2060", "\u00a0\u3000", "\0\x1b", "\u00ad", "\u2028", "\u{e0001}"]) {
    assert.equal(isBlank(text), true, JSON.stringify(text));
  }
  for (const text of ["a", " a ", ".", "\ufeff.", "\ufffd", "\u{1f600}", "\u0301", "\ud83d"]) {
    assert.equal(isBlank(text), false, JSON.stringify(text));
  }
});

test("a text is cut between two code points, from both ends", () => {
  const text = "a\u{1f600}b\u{1f600}\u{1f600}c";
  const points = [...text];
  for (let most = 0; most <= points.length + 1; most += 1) {
    assert.equal(cut(text, most), points.slice(0, most).join(""));
    assert.equal(cutToLast(text, most + 1), points.slice(-most - 1).join(""));
  }
  assert.equal(cut("a".repeat(10), 3), "aaa");
  assert.equal(cutToLast("\u{1f600}".repeat(1000), 400), "\u{1f600}".repeat(400));
});

test("a text is cut by the bytes that it takes in JSON, between two code points", () => {
  const text = 'a"\\\n\u0001\u007f\u00e9\u5b57\u2028\u{1f600}z';
  const points = [...text];
  const bytes = (part) => Buffer.byteLength(JSON.stringify(part)) - 2;
  for (let most = 0; most <= bytes(text) + 1; most += 1) {
    const fits = points.map((_point, at) => points.slice(0, at + 1).join("")).filter((part) => bytes(part) <= most);
    assert.equal(cutToJson(text, most), fits.at(-1) ?? "", `${most}`);
  }
});

test("a value is copied as every reader takes it, or omitted with the reason", () => {
  const plain = { a: [1, "b", null, { c: true }], "\u20ac": "\u{1f600}" };
  assert.deepEqual(wellFormed(plain), { value: plain, mended: false });
  assert.deepEqual(wellFormed({ "\ud83d": ["\udc00"] }), { value: { "\ufffd": ["\ufffd"] }, mended: true });
  const levels = (count) => JSON.parse("[".repeat(count) + "]".repeat(count));
  assert.deepEqual(wellFormed(levels(64)).value, levels(64));
  assert.deepEqual(wellFormed(levels(65)), { omitted: "too_deep" });
  assert.deepEqual(wellFormed({ a: 1 }, 0), { omitted: "too_deep" });
  for (const name of ["$serde_json::private::RawValue", "$serde_json::private::Number", "$serde_json::private::", "__proto__"]) {
    const value = JSON.parse(`[{"a":{${JSON.stringify(name)}:1}}]`);
    assert.deepEqual(wellFormed(value), { omitted: "unreadable" }, name);
  }
  // Two names that become the same one.
  assert.deepEqual(wellFormed({ "\ud83d": 1, "\ud83e": 2 }), { omitted: "unreadable" });
  assert.deepEqual(wellFormed({ $serde_json: 1, "serde_json::private::": 2, constructor: 3, toString: 4 }).mended, false);
});

test("JSON is well-formed and ends no string of JavaScript", () => {
  assert.equal(toJson({ a: "\ud83d", b: "\u2028\u2029" }), '{"a":"\ufffd","b":"\\u2028\\u2029"}');
  assert.equal(readableJson('{"b":1,"a":"x"}'), '{"b":1,"a":"x"}');
  assert.equal(readableJson('{"a":"\\ud83d"}'), '{"a":"\ufffd"}');
  assert.equal(readableJson('{"$serde_json::private::Number":"1"}'), null);
});

test("a name with an escape in it is found, and no value is taken for a name", () => {
  for (const json of ['{"\\n":1}', '{"a":"b","c\\\\" \n : 2}', '[{"a":{"\\u0061":1}}]', `{"\\t"${" ".repeat(500)}:1}`]) {
    assert.equal(hasEscapedName(json), true, json);
  }
  for (const json of ['{"a":"\\n"}', '{"a":"\\\\","b":1}', '["\\"a\\":1",{"b":2}]', '"\\n"', '{"a:b":"\\":"}']) {
    assert.equal(hasEscapedName(json), false, json);
  }
});
