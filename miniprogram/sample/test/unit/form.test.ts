import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { type Field, argumentsOf, formOf, withFaults } from "../../miniprogram/view/form.ts";
import type { Schema } from "../../miniprogram/view/schema.ts";

const PAY: Schema = {
  type: "object", required: ["amount", "note"],
  properties: {
    amount: { type: "integer", minimum: 1, maximum: 1000 },
    note: { type: "string", minLength: 1, maxLength: 20, title: "What for" },
    kind: { enum: ["food", "travel", 3] },
    tip: { type: "number", exclusiveMinimum: 0 },
    urgent: { type: "boolean" },
    tags: { type: "array" },
    code: { type: "string", pattern: "^[A-Z]{2}$" },
  },
};
const filled = (entered: Record<string, Field["value"]>, schema = PAY): Field[] =>
  formOf(schema, "en").map((field) => ({ ...field, value: entered[field.name] ?? field.value }));
const errors = (entered: Record<string, Field["value"]>): Record<string, string> => {
  const read = argumentsOf(filled(entered), PAY, "en");
  assert.ok("fields" in read);
  return Object.fromEntries(read.fields.filter(({ error }) => error).map(({ name, error }) => [name, error]));
};

test("each property of the schema becomes an input of its kind", () => {
  const kinds = Object.fromEntries(formOf(PAY, "zh").map(({ name, kind }) => [name, kind]));
  assert.deepEqual(kinds, { amount: "integer", note: "text", kind: "choice", tip: "number", urgent: "switch", tags: "json", code: "text" });
  const [amount, note] = formOf(PAY, "zh");
  assert.equal(amount!.hint, "1 – 1000，整数");
  assert.deepEqual([note!.label, note!.required, note!.maxLength], ["What for", true, 20]);
});

test("what was entered becomes arguments of the schema's types, and what was left empty is left out", () => {
  const read = argumentsOf(filled({ amount: " 12 ", note: "tea", kind: 2, tip: "0.5", tags: '["a"]', urgent: true }), PAY, "en");
  assert.deepEqual(read, { args: { amount: 12, note: "tea", kind: 3, tip: 0.5, urgent: true, tags: ["a"] } });
  assert.deepEqual(argumentsOf(filled({ amount: "1", note: "x" }), PAY, "en"), { args: { amount: 1, note: "x", urgent: false } });
});

test("what does not fit is said beside its input", () => {
  assert.deepEqual(Object.keys(errors({})), ["amount", "note"]);
  for (const amount of ["0", "1001", "1.5", "1e2", "0x10", "ten", "９"]) assert.ok(errors({ amount, note: "x" })["amount"], amount);
  assert.ok(errors({ amount: "1", note: "x".repeat(21) })["note"]);
  assert.ok(errors({ amount: "1", note: "x", tip: "0" })["tip"]);
  assert.ok(errors({ amount: "1", note: "x", code: "ab" })["code"]);
  assert.ok(errors({ amount: "1", note: "x", tags: "[" })["tags"]);
});

test("what the service finds wrong stands beside the input that it names", () => {
  const { fields, rest } = withFaults(filled({}), [
    { pointer: "/amount", message: "too much" },
    { pointer: "/tags/0", message: "not a text" },
    { pointer: "", message: "as a whole" },
  ]);
  assert.deepEqual(fields.filter(({ error }) => error).map(({ name, error }) => [name, error]), [["amount", "too much"], ["tags", "not a text"]]);
  assert.deepEqual(rest, ["as a whole"]);
});

test("every schema of the demo catalogue makes a form without JSON to type", () => {
  const folder = new URL("../../../../policy/schemas/", import.meta.url);
  const files = readdirSync(folder);
  assert.ok(files.length > 3);
  for (const file of files) {
    const schema = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Schema;
    assert.deepEqual(formOf(schema, "en").filter(({ kind }) => kind === "json"), [], file);
  }
});
