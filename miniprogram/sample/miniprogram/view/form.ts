// A form from the JSON Schema of a tool, and the arguments from what the user entered.
import type { ArgumentFault, Schema } from "./schema";
import type { Language } from "./language";

export type FieldKind = "text" | "long" | "number" | "integer" | "switch" | "choice" | "json";

/** One input of the form. */
export interface Field {
  /** The member of the arguments. */
  name: string;
  label: string;
  kind: FieldKind;
  required: boolean;
  /** What may be entered, in words. */
  hint: string;
  /** What the input holds; of a choice the index, or -1. */
  value: string | boolean | number;
  options: string[];
  maxLength: number;
  error: string;
}

/** Above this length a text gets an input of several lines. */
const LONG = 120;
/** WeChat's inputs cut at 140 characters unless they are told otherwise; -1 is no limit. */
const NO_LIMIT = -1;

export function formOf(schema: Schema, language: Language, given: Record<string, unknown> = {}): Field[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const kind = kindOf(property);
    const options = kind === "choice" ? property.enum!.map((option) => (typeof option === "string" ? option : JSON.stringify(option))) : [];
    const initial = given[name] ?? property.default ?? property.const;
    return {
      name, kind, options,
      label: property.title ?? name,
      required: required.has(name),
      hint: hintOf(property, kind, language),
      value: valueOf(kind, property, initial),
      maxLength: property.maxLength ?? NO_LIMIT,
      error: "",
    };
  });
}

function kindOf(property: Schema): FieldKind {
  if (property.enum) return "choice";
  switch (property.type) {
    case "string":
      return property.pattern === undefined && (property.maxLength ?? Infinity) > LONG ? "long" : "text";
    case "integer":
    case "number":
      return property.type;
    case "boolean":
      return "switch";
    default:
      // Objects, arrays, unions: entered as JSON. A team that has many of them writes a page of its own for the tool.
      return "json";
  }
}

function valueOf(kind: FieldKind, property: Schema, initial: unknown): Field["value"] {
  if (kind === "switch") return initial === true;
  if (kind === "choice") return property.enum!.findIndex((option) => JSON.stringify(option) === JSON.stringify(initial));
  if (initial === undefined) return "";
  return typeof initial === "string" && kind !== "json" ? initial : JSON.stringify(initial);
}

function hintOf(property: Schema, kind: FieldKind, language: Language): string {
  const zh = language === "zh";
  const parts: string[] = [];
  if (property.description) parts.push(property.description);
  const { minimum, maximum, minLength, maxLength } = property;
  if (minimum !== undefined && maximum !== undefined) parts.push(`${minimum} – ${maximum}`);
  else if (minimum !== undefined) parts.push(`≥ ${minimum}`);
  else if (maximum !== undefined) parts.push(`≤ ${maximum}`);
  if (kind === "integer") parts.push(zh ? "整数" : "whole number");
  if (kind === "number") parts.push(zh ? "数字" : "number");
  if (kind === "json") parts.push(zh ? "以 JSON 填写" : "as JSON");
  if (kind === "text" || kind === "long") {
    if (maxLength !== undefined) parts.push(zh ? `最多 ${maxLength} 字` : `at most ${maxLength} characters`);
    else if (minLength) parts.push(zh ? `至少 ${minLength} 字` : `at least ${minLength} characters`);
  }
  return parts.join(zh ? "，" : ", ");
}

/** The arguments, or the same form with what is wrong in it. The service checks the whole schema; this spares a round trip. */
export function argumentsOf(fields: Field[], schema: Schema, language: Language): { args: Record<string, unknown> } | { fields: Field[] } {
  const args: Record<string, unknown> = {};
  const checked = fields.map((field) => {
    const property = schema.properties?.[field.name] ?? {};
    const read = readField(field, property);
    if ("value" in read && read.value !== undefined) args[field.name] = read.value;
    return { ...field, error: "fault" in read ? FAULTS[read.fault][language === "zh" ? 0 : 1] : "" };
  });
  return checked.some(({ error }) => error) ? { fields: checked } : { args };
}

const FAULTS = {
  missing: ["请填写", "Please fill this in"],
  number: ["请填写数字", "Please enter a number"],
  integer: ["请填写整数", "Please enter a whole number"],
  range: ["超出范围", "Out of range"],
  length: ["长度不符合要求", "Too short or too long"],
  pattern: ["格式不符合要求", "This does not have the right form"],
  json: ["不是有效的 JSON", "This is not JSON"],
} as const;
type Read = { value: unknown } | { fault: keyof typeof FAULTS };

function readField({ kind, value, required }: Field, property: Schema): Read {
  if (kind === "switch") return { value: value === true };
  if (kind === "choice") {
    const option = property.enum?.[Number(value)];
    return option === undefined ? absent(required) : { value: option };
  }
  const text = String(value);
  if (text.trim() === "") return kind === "text" || kind === "long" ? emptyText(required, property) : absent(required);
  if (kind === "integer" || kind === "number") return readNumber(text.trim(), kind, property);
  if (kind === "json") return readJson(text);
  const length = [...text].length;
  if (length < (property.minLength ?? 0) || length > (property.maxLength ?? Infinity)) return { fault: "length" };
  return property.pattern && !matches(property.pattern, text) ? { fault: "pattern" } : { value: text };
}

function absent(required: boolean): Read {
  return required ? { fault: "missing" } : { value: undefined };
}

/** A required text that may be empty is sent as the empty text. */
function emptyText(required: boolean, property: Schema): Read {
  return required && !property.minLength && !property.pattern ? { value: "" } : absent(required);
}

function readNumber(text: string, kind: "integer" | "number", { minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): Read {
  // Number("0x10") and Number("1e3") are numbers, and no user means them.
  if (!/^[-+]?\d+(\.\d+)?$/.test(text)) return { fault: kind };
  const value = Number(text);
  if (kind === "integer" && !Number.isSafeInteger(value)) return { fault: "integer" };
  const low = value < (minimum ?? -Infinity) || value <= (exclusiveMinimum ?? -Infinity);
  const high = value > (maximum ?? Infinity) || value >= (exclusiveMaximum ?? Infinity);
  return low || high ? { fault: "range" } : { value };
}

function readJson(text: string): Read {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { fault: "json" };
  }
}

function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    // A pattern that this phone does not know is left to the service.
    return true;
  }
}

/** Puts what the service found wrong beside its field; what belongs to no field is returned. */
export function withFaults(fields: Field[], faults: ArgumentFault[]): { fields: Field[]; rest: string[] } {
  const rest: string[] = [];
  const marked = fields.map((field) => ({ ...field, error: "" }));
  for (const { pointer, message } of faults) {
    const name = pointer.split("/")[1]?.replace(/~1/g, "/").replace(/~0/g, "~");
    const field = marked.find((one) => one.name === name);
    if (field) field.error = message;
    else rest.push(message);
  }
  return { fields: marked, rest };
}
