/** Times, ages and short forms. */
import { language } from "../style/preferences.ts";
import { t } from "./text.ts";

const locale = () => (language.value === "zh" ? "zh-CN" : "en-GB");

/** An age or a remaining time, in its two largest units: `2 h 05 min`. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return t("unit.s", { n: s });
  if (s < 3600) return t("unit.min_s", { m: Math.floor(s / 60), s: two(s % 60) });
  if (s < 86_400) return t("unit.h_min", { h: Math.floor(s / 3600), m: two(Math.floor((s % 3600) / 60)) });
  return t("unit.d_h", { d: Math.floor(s / 86_400), h: Math.floor((s % 86_400) / 3600) });
}

/** Remaining time: `4:05`. */
export function countdown(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** Date and time where the reader is; the day only when it is not today. */
export function moment(text: string | number, nowMs: number): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return String(text);
  const sameDay = at.toDateString() === new Date(nowMs).toDateString();
  const time = at.toLocaleTimeString(locale(), { hour12: false });
  return sameDay ? time : `${at.toLocaleDateString(locale(), { year: "numeric", month: "short", day: "numeric" })} ${time}`;
}

/** The first characters of a digest or an id. The full text is always in a title and behind a copy button. */
export function short(text: string, length = 10): string {
  return text.length <= length + 1 ? text : `${text.slice(0, length)}…`;
}

/** The request id that a support code names, as audit records spell it; "" for what is no support code. */
export function requestIdOf(code: string): string {
  let bytes: string;
  try {
    bytes = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
  const hex = [...bytes.slice(16)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** A support code begins with the user and ends with the request: the end tells one job from another. */
export function shortJob(code: string): string {
  return code.length <= 13 ? code : `…${code.slice(-12)}`;
}

/** Characters that are invisible or look like a space: controls, format characters, private and unassigned ones, fillers. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0]|[\u{e0100}-\u{e01ef}]/gu;

/** Escapes characters that could hide or reorder text. The service has escaped them already; this is a second check. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (c) => {
    const hex = (c.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
  });
}
