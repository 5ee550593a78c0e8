// The plugin's rules for text and JSON; `tests/vectors/text.json` tests that the service has the same.

import { canonical } from "./canonical.js";

/** Levels of arrays and objects that a result may have. */
export const MAX_DEPTH = 64;

const BLANK = /^[\p{White_Space}\p{Cc}\p{Cf}]*$/u;

/** Whether a text is blank: only white space, control characters and format characters. */
export const isBlank = (text) => BLANK.test(text);

/** The first `most` code points of a text; a surrogate pair is never cut. */
export function cut(text, most) {
  if (text.length <= most) return text;
  let end = 0;
  for (let count = 0; count < most && end < text.length; count += 1) end += text.codePointAt(end) > 0xffff ? 2 : 1;
  return text.slice(0, end);
}

/** The bytes that a code point of well-formed text takes in JSON, in a string. */
function bytesInJson(point) {
  if (point === 0x22 || point === 0x5c) return 2;
  if (point < 0x20) return [0x08, 0x09, 0x0a, 0x0c, 0x0d].includes(point) ? 2 : 6;
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point > 0xffff ? 4 : 3;
}

/** The longest start of a well-formed text that takes at most `most` bytes in JSON, without its quotes. */
export function cutToJson(text, most) {
  let [end, left] = [0, most];
  while (end < text.length) {
    const point = text.codePointAt(end);
    left -= bytesInJson(point);
    if (left < 0) break;
    end += point > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}

/** The last `most` code points of a text. */
export const cutToLast = (text, most) => [...text.slice(-2 * most - 1)].slice(-most).join("");

/** A text with U+FFFD for each lone half of a surrogate pair. */
export const wellFormedText = (text) => text.toWellFormed();

// A parser of another language gives these names a special meaning, and would read another value.
const isPoison = (name) => name === "__proto__" || name.startsWith("$serde_json::private::");

class Unshowable extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * A JSON value that every parser reads alike: `{value, mended}`, with U+FFFD for each lone half of a surrogate pair (`mended` says
 * whether there was one); or `{omitted}` with the reason: `too_deep` beyond `maxDepth` levels, `unreadable` with a name
 * to which a parser gives a special meaning.
 */
export function wellFormed(value, maxDepth = MAX_DEPTH) {
  const seen = { mended: false };
  try {
    return { value: copied(value, maxDepth, seen), mended: seen.mended };
  } catch (error) {
    if (error instanceof Unshowable) return { omitted: error.reason };
    throw error;
  }
}

function copied(value, left, seen) {
  if (typeof value === "string") return mendedText(value, seen);
  if (value === null || typeof value !== "object") return value;
  if (left === 0) throw new Unshowable("too_deep");
  if (Array.isArray(value)) return value.map((item) => copied(item, left - 1, seen));
  const copy = {};
  for (const name of Object.keys(value)) {
    const mended = mendedText(name, seen);
    // If two names become the same one, one value would be lost.
    if (isPoison(mended) || Object.hasOwn(copy, mended)) throw new Unshowable("unreadable");
    copy[mended] = copied(value[name], left - 1, seen);
  }
  return copy;
}

function mendedText(text, seen) {
  if (text.isWellFormed()) return text;
  seen.mended = true;
  return wellFormedText(text);
}

// What a text needs of these to hold anything that is not well-formed, or a name that a reader takes for something else.
const SUSPECT = /\\u[dD][89a-fA-F]|serde_json|__proto__/;

/** A stored JSON text that every parser reads alike; null when parsers would disagree. */
export function readableJson(json) {
  if (!SUSPECT.test(json)) return json;
  const { value, omitted } = wellFormed(JSON.parse(json));
  return omitted === undefined ? canonical(value) : null;
}

/** The JSON of a response: well-formed Unicode for any value, with line separators escaped that end a string in JavaScript. */
export const toJson = (value) =>
  JSON.stringify(value, (_name, one) => (typeof one === "string" ? wellFormedText(one) : one))
    .replace(/[\u2028\u2029]/g, (separator) => (separator === "\u2028" ? "\\u2028" : "\\u2029"));

/**
 * Whether a JSON text has a name with an escape in it. V8 13.6 may read such a name as another one that it has read before
 * (`"\n"` as `"\\"`), so what was approved would not be what runs.
 */
export function hasEscapedName(json) {
  if (!json.includes("\\")) return false;
  const isName = /\s*:/y;
  for (const { 0: text, index } of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"/gs)) {
    isName.lastIndex = index + text.length;
    if (text.includes("\\") && isName.test(json)) return true;
  }
  return false;
}
