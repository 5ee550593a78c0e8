/** Every sentence of this page, in the reader's language. */
import { language } from "../style/preferences.ts";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Key = keyof typeof en;
export type Words = Record<Key, string>;
type Values = Record<string, string | number>;

export const TABLES = { en, zh } satisfies Record<string, Words>;

/** Inserts values for `{names}`. Inserted texts are not expanded again. */
export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function t(key: Key, values: Values = {}): string {
  return fill(TABLES[language.value][key], values);
}

/** A name from the API: its text in the table, else the name itself. */
export function named(prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return key in en ? t(key as Key) : name;
}
