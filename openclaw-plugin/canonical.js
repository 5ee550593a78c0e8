import { createHash } from "node:crypto";

const MAX_DEPTH = 64;

/** RFC 8785 for any value that JSON.parse can return. Throws a RangeError beyond the maximum nesting. */
export function canonical(value, depth = 0) {
  if (depth > MAX_DEPTH) throw new RangeError("nested too deeply");
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const member = (name) => `${JSON.stringify(name)}:${canonical(value[name], depth + 1)}`;
    return `{${Object.keys(value).sort().map(member).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

export const digestOfText = (text) => createHash("sha256").update(text).digest("hex");

export const digestOf = (value) => digestOfText(canonical(value));

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** The gateway compares tool names trimmed and in lower case, so the tool guard must too. */
export const toolName = (name) => String(name ?? "").trim().toLowerCase();
