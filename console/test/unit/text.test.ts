import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { language } from "../../src/style/preferences.ts";
import { en } from "../../src/text/en.ts";
import { countdown, duration, moment, short, shortJob, visible } from "../../src/text/format.ts";
import { fill, named, t, TABLES, type Key } from "../../src/text/text.ts";

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("every language has every key, no other, and says something under each", () => {
  const keys = Object.keys(en).sort();
  for (const [name, table] of Object.entries(TABLES)) {
    assert.deepEqual(Object.keys(table).sort(), keys, name);
    for (const [key, text] of Object.entries(table)) assert.notEqual(text.trim(), "", `${name} ${key}`);
  }
});

test("every language has the same holes in the same sentence", () => {
  for (const key of Object.keys(en) as Key[]) {
    for (const [name, table] of Object.entries(TABLES)) assert.deepEqual(holes(table[key]), holes(en[key]), `${name} ${key}`);
  }
});

test("every key is used somewhere", () => {
  const source = readdirSync(new URL("../../src", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !/text[/\\](en|zh)\.ts$/.test(name))
    .map((name) => readFileSync(new URL(`../../src/${name}`, import.meta.url), "utf8")).join("\n");
  const families = [...source.matchAll(/named\("(\w+)"/g)].map(([, family]) => `${family}.`)
    .concat([...source.matchAll(/t\(`([\w.]+?[._])\$\{/g)].map(([, family]) => family ?? ""));
  const unused = Object.keys(en).filter((key) => !source.includes(`"${key}"`) && !families.some((family) => key.startsWith(family)));
  assert.deepEqual(unused, []);
});

test("the language decides, at once", () => {
  language.value = "en";
  assert.equal(t("nav.waiting"), "Waiting");
  language.value = "zh";
  assert.equal(t("nav.waiting"), "待审批");
  language.value = "en";
});

test("what is put into a sentence is not read again", () => {
  assert.equal(fill("{a} and {b}", { a: "{b}", b: "x" }), "{b} and x");
  assert.equal(fill("{a}", { a: "$&" }), "$&");
  assert.equal(fill("{absent}", {}), "{absent}");
});

test("a name without words is shown as it is", () => {
  assert.equal(named("status", "queued"), "queued");
  assert.equal(named("status", "some_new_state"), "some_new_state");
  assert.equal(named("status", "__proto__"), "__proto__");
});

test("no text contains an invisible character", () => {
  assert.equal(visible("a\u202eb\u0000c\u200bd\ufeff\n"), "a\\u202eb\\u0000c\\u200bd\\ufeff\\u000a");
  assert.equal(visible("a\u00a0b\u3000c\u3164d\u{e0041}e\ufe0ff\ud800"), "a\\u00a0b\\u3000c\\u3164d\\u{e0041}e\\ufe0ff\\ud800");
  assert.equal(visible("ordinary, é, 中文, 👍, <b>"), "ordinary, é, 中文, 👍, <b>");
});

test("times are short", () => {
  assert.deepEqual([-5, 0, 59_900, 61_000, 3_660_000, 90_000_000].map(duration), ["0 s", "0 s", "59 s", "1 min 01 s", "1 h 01 min", "1 d 1 h"]);
  assert.deepEqual([-5, 1, 59_999, 60_000, 3_661_000].map(countdown), ["0:00", "0:01", "1:00", "1:00", "1:01:01"]);
  assert.equal(moment("not a time", 0), "not a time");
  assert.equal(short("abcdefghijkl"), "abcdefghij…");
  assert.equal(short("abcdefghijk"), "abcdefghijk");
  assert.equal(shortJob(`${"u".repeat(21)}${"r".repeat(22)}`), `…${"r".repeat(12)}`);
});
