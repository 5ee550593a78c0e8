import { toJson } from "./text.js";

const TIMEOUT_MS = 5000;
const AGAIN_MS = [300, 1000, 3000, 10_000];
const AT_ONCE = 32;
// While a turn goes on it is rung for so often at most, and each time twice as late after the last one.
const NEWS_AT_MOST = 6;
const NEWS_AFTER_MS = 1000;
// Whoever is rung looks just now, and may have seen too little.
const BUSY = 409;
// Nobody waits for it any more. That comes late, and proves nothing for the next one.
const OVER = 410;

/** A text that a caller may be rung with. */
export const isRing = (text) => typeof text === "string" && /^[A-Za-z0-9._~-]{1,200}$/.test(text);

/**
 * Tells those who wait for a turn that there is something to see. A hint: nothing waits for it, and nothing depends on
 * it. Where it goes only the configuration says, never a request.
 */
export class Rings {
  #url;
  /** Whether somebody heard, the last time that it showed. Until then nobody counts on it: the URL may be a wrong one. */
  #hasReached = false;
  #underWay = 0;

  constructor(url, log) {
    this.#url = addressOf(url);
    if (url !== undefined && !this.#url) log?.("config.ringUrl is no https address; nobody is rung");
  }

  get isOn() {
    return this.#url !== null;
  }

  /** Whether whoever gave this ring will be rung, as far as this process knows. */
  reaches(ring) {
    return this.#url !== null && Boolean(ring) && this.#hasReached;
  }

  /** A turn is over. */
  ended(turn) {
    clearTimeout(turn.news?.timer);
    if (this.#url && turn.ring) void this.#ring(turn.ring, AGAIN_MS);
  }

  /** A turn shows something new. What happens soon after a ring waits for the next one. */
  changed(turn) {
    if (!this.#url || !turn.ring) return;
    const news = (turn.news ??= { rung: 0, last: Date.now(), timer: undefined });
    if (news.timer || news.rung >= NEWS_AT_MOST) return;
    const wait = news.last + NEWS_AFTER_MS * 2 ** (news.rung + 1) - Date.now();
    news.timer = setTimeout(() => {
      Object.assign(news, { rung: news.rung + 1, last: Date.now(), timer: undefined });
      void this.#ring(turn.ring, []);
    }, Math.max(wait, 0)).unref();
  }

  /** Again while nobody hears it, or while whoever hears it cannot look. */
  async #ring(ring, againMs) {
    if (this.#underWay >= AT_ONCE) {
      this.#hasReached = false;
      return;
    }
    this.#underWay += 1;
    for (const pause of [...againMs, null]) {
      const status = await this.#post(ring);
      if (status !== OVER) this.#hasReached = isHeard(status);
      if (!isForNow(status) || pause === null) break;
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
    }
    this.#underWay -= 1;
  }

  /** The status of the answer; null without one. */
  async #post(ring) {
    try {
      const answer = await fetch(this.#url, {
        method: "POST", headers: { "content-type": "application/json" }, body: toJson({ ring }),
        redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch {
      return null;
    }
  }
}

/** Only whoever takes rings answers like that. Anything else may be another address, or somebody on the way to it. */
const isHeard = (status) => (status >= 200 && status < 300) || status === BUSY;
/** It may go better the next time. */
const isForNow = (status) => status === null || status >= 500 || status === BUSY || status === 429;

/** Only where nobody on the way can listen. */
function addressOf(text) {
  const url = URL.parse(text ?? "");
  if (!url || url.username || url.password) return null;
  const isHere = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  return url.protocol === "https:" || (url.protocol === "http:" && isHere) ? url.href : null;
}
