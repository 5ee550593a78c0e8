import { toJson } from "./text.js";

const TIMEOUT_MS = 5000;
const AGAIN_MS = [300, 1000, 3000, 10_000];
const AT_ONCE = 32;
// Maximum number of progress reports of an open turn, each after twice the previous pause, so that a long turn costs little.
const PROGRESS_AT_MOST = 6;
const PROGRESS_AFTER_MS = 1000;
// A worker is running the job, and may have polled before this change: send again.
const BUSY = 409;
// The round of this token has ended. This response to a late message says nothing about the next token.
const OVER = 410;

/** Whether a text can be a wake-up token. */
export const isWakeUpToken = (text) => typeof text === "string" && /^[A-Za-z0-9._~-]{1,200}$/.test(text);

/**
 * Webhook: reports progress of a turn to the service, which then wakes the turn's job. The service also polls, so a lost
 * report only costs time, and no turn waits for one. The URL comes from the configuration alone, never from a request.
 */
export class WakeUps {
  #url;
  /** Whether the last report arrived. False until the first one has: the URL may be wrong. */
  #hasReached = false;
  #underWay = 0;

  constructor(url, log) {
    this.#url = addressOf(url);
    if (url !== undefined && !this.#url) log?.("config.ringUrl is no https address; no progress is reported");
  }

  get isOn() {
    return this.#url !== null;
  }

  /** Whether reports with this token are expected to arrive. */
  reaches(token) {
    return this.#url !== null && Boolean(token) && this.#hasReached;
  }

  /** Reports the end of a turn. */
  ended(turn) {
    clearTimeout(turn.reporting?.timer);
    if (this.#url && turn.wakeUpToken) void this.#send(turn.wakeUpToken, AGAIN_MS);
  }

  /** Reports progress of an open turn. Changes soon after a report are reported together with the next one. */
  changed(turn) {
    if (!this.#url || !turn.wakeUpToken) return;
    const progress = (turn.reporting ??= { sent: 0, last: Date.now(), timer: undefined });
    if (progress.timer || progress.sent >= PROGRESS_AT_MOST) return;
    const wait = progress.last + PROGRESS_AFTER_MS * 2 ** (progress.sent + 1) - Date.now();
    progress.timer = setTimeout(() => {
      Object.assign(progress, { sent: progress.sent + 1, last: Date.now(), timer: undefined });
      void this.#send(turn.wakeUpToken, []);
    }, Math.max(wait, 0)).unref();
  }

  /** Sends, and again after each of `againMs` while the service does not answer or a worker runs the job. */
  async #send(token, againMs) {
    if (this.#underWay >= AT_ONCE) {
      this.#hasReached = false;
      return;
    }
    this.#underWay += 1;
    for (const pause of [...againMs, null]) {
      const status = await this.#post(token);
      if (status !== OVER) this.#hasReached = isDelivered(status);
      if (!isTransient(status) || pause === null) break;
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
    }
    this.#underWay -= 1;
  }

  /** The status of the answer; null without one. */
  async #post(token) {
    try {
      const answer = await fetch(this.#url, {
        method: "POST", headers: { "content-type": "application/json" }, body: toJson({ ring: token }),
        redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch {
      return null;
    }
  }
}

/** Only the service's route answers like that. Anything else may come from another address, or from a proxy. */
const isDelivered = (status) => (status >= 200 && status < 300) || status === BUSY;
/** A later attempt may succeed. */
const isTransient = (status) => status === null || status >= 500 || status === BUSY || status === 429;

/** The URL of an https address, or of this machine: a token is never sent in plain text over a network. */
function addressOf(text) {
  const url = URL.parse(text ?? "");
  if (!url || url.username || url.password) return null;
  const isHere = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  return url.protocol === "https:" || (url.protocol === "http:" && isHere) ? url.href : null;
}
