// The gateway's own code finds nothing to interpret in a message that prompt.js has processed.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { asPlainText } from "../../prompt.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
const DIST = path.join(ROOT, ".local/openclaw/app/node_modules/openclaw/dist");

/** An export of a built module of the gateway, found by its original name. */
async function exported(prefix, name) {
  for (const file of fs.readdirSync(DIST).filter((one) => one.startsWith(prefix) && one.endsWith(".mjs"))) {
    if (!fs.readFileSync(path.join(DIST, file), "utf8").includes(`export { `)) continue;
    const found = Object.values(await import(pathToFileURL(path.join(DIST, file)))).find((one) => one?.name === name);
    if (found) return found;
  }
  throw new Error(`the gateway has no ${name} any more`);
}

const detectImageReferences = await exported("images-", "detectImageReferences");
const isAgentSessionResetCommand = /^\/(new|reset)(?:\s+([\s\S]*))?$/i;
const source = fs.readdirSync(DIST).filter((one) => one.startsWith("method-scopes-"))
  .map((one) => fs.readFileSync(path.join(DIST, one), "utf8")).join("\n");

const OPENED = [
  "./inside.png", "look at ../x.JPG", "~/a.gif", "/etc/a.webp", '"/a b/c.png" (./d.heic)', "'./a.png'", "`/a.bmp`",
  "MEDIA: ./inside.png", "file:///etc/a.png", "x FILE:///x/a.tiff", "C:\\a.png", "c:/a.png", "/a.png/b.png", "/a.pngx",
  "[Image: source: x]/etc/a.png", "[media attached: y]./a.png", "\ufeff/a.png", "a\u2028/a.png", "/\u{1f600}.png",
];

test("the gateway finds no image in a message", () => {
  for (const text of OPENED) {
    assert.ok(detectImageReferences(text).length > 0, `the gateway does not open ${text}: the test proves nothing`);
    assert.deepEqual(detectImageReferences(asPlainText(text)), [], text);
    assert.equal(asPlainText(text).replaceAll("\u2060", ""), text.replaceAll("\u2060", ""));
    assert.equal(asPlainText(asPlainText(text)), asPlainText(text));
  }
});

const PIECES = [
  ..." \n\t\"'`()[]<>~/\\.:-_@=,;!\u00a0\ufeff\u2060", "./", "../", "file://", "FILE:", "c:\\", ".png", ".JPEG", ".heif",
  "a", "字", "\u{1f600}", "[media attached: ", "[Image: source: ", "]", "https://e.com",
];

/** The same numbers each time (a linear congruential generator, with the constants of Numerical Recipes). */
function* numbers(seed) {
  for (let at = seed; ; ) yield (at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

test("the gateway finds no image in random messages either", () => {
  const random = numbers(11);
  let found = 0;
  for (let at = 0; at < 200_000; at += 1) {
    const pieces = Array.from({ length: 2 + (at % 9) }, () => PIECES[Math.floor(random.next().value * PIECES.length)]);
    const text = pieces.join("");
    if (detectImageReferences(text).length > 0) found += 1;
    assert.deepEqual(detectImageReferences(asPlainText(text)), [], JSON.stringify(text));
  }
  assert.ok(found > 2000, `${found}`);
});

test("what a user wrote is otherwise unchanged", () => {
  const plain = [
    "https://example.com/a.png", "see https://e.com/?p=/a.png and e.com/b.jpg", "a.png", "1/2 or either/or", "/help", "/newer",
    "say /new to begin", "~ about /etc/passwd", "/a/b.txt", "profile: me", "C: drive", "",
  ];
  for (const text of plain) assert.equal(asPlainText(text), text);
});

test("the gateway takes no message for a session command", () => {
  // The pattern is the gateway's: where it changes this fails, and prompt.js has to follow.
  assert.ok(source.includes(`AGENT_SESSION_RESET_COMMAND_RE = ${isAgentSessionResetCommand}`));
  for (const text of ["/new", "/RESET", " /reset soft", "\n/New\tx", "\ufeff/new", "/reset\u2028x"]) {
    assert.ok(isAgentSessionResetCommand.test(text.trim()), text);
    assert.ok(!isAgentSessionResetCommand.test(asPlainText(text).trim()), text);
  }
});

test("the longest message is read in no more time than it takes to write", () => {
  const long = 1 << 20;
  for (const piece of ["/", "./", "(/", "file://", "a:/", "~", " ", "!/", ".png", "/.png"]) {
    const began = process.cpuUsage();
    asPlainText(piece.repeat(long / piece.length));
    assert.ok(process.cpuUsage(began).user < 3_000_000, piece);
  }
});
