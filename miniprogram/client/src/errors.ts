// The errors that calls reject with; the sentences for them are in text.ts.
import type { PhoneCode, PhoneError, Problem, ServiceError } from "./types.ts";

/** An error of the phone. */
export function phoneError(code: PhoneCode, message: string, more?: Partial<PhoneError>): PhoneError {
  const retryable = /^(offline|login_failed|outbox_full)$/.test(code);
  return Object.assign(new Error(`${code}: ${message}`), { origin: "phone" as const, code, retryable }, more);
}

/** The longest that the service's documentation asks to wait. A timer of more than 31 bits would end at once. */
export const HOUR_MS = 3_600_000;

/** What the service answered with a problem. A code that this version does not know is judged by its status. */
export function serviceError(status: number, problem: Problem, retryAfterMs?: number): ServiceError {
  const { code, title } = problem;
  const retryable = status === 401 || status === 429 || status >= 500;
  const waits = retryAfterMs! > 0 && { retryAfterMs: Math.min(retryAfterMs!, HOUR_MS) };
  return Object.assign(new Error(`${code}: ${title}`), { origin: "service", code, status, problem, retryable, ...waits }) as unknown as ServiceError;
}
