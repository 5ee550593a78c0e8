/** Polling: only while the page is visible, slower while requests fail, and a failure is shown. */
import { signal, type ReadonlySignal } from "@preact/signals";
import { Problem } from "../api/problem.ts";
import { serverNow } from "./clock.ts";

/** The longest pause after a failed attempt. */
const MAX_PAUSE_S = 60;

/** The pause before the next attempt, after `failures` in a row. */
export function pauseS(everyS: number, failures: number, retryAfterS: number | undefined): number {
  const backoff = failures === 0 ? everyS : Math.min(MAX_PAUSE_S, everyS * 2 ** failures);
  return Math.max(backoff, retryAfterS ?? 0);
}

/** The polled data, and its age and error. */
export class Live<T> {
  readonly #data = signal<T | undefined>(undefined);
  readonly #problem = signal<Problem | undefined>(undefined);
  readonly #at = signal<number | undefined>(undefined);
  readonly #busy = signal(false);
  readonly data: ReadonlySignal<T | undefined> = this.#data;
  /** Error of the last attempt; reset by the next success. */
  readonly problem: ReadonlySignal<Problem | undefined> = this.#problem;
  /** Time of `data`. */
  readonly at: ReadonlySignal<number | undefined> = this.#at;
  readonly busy: ReadonlySignal<boolean> = this.#busy;
  readonly everyS: number;

  readonly #ask: () => Promise<T>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #users = 0;
  #failures = 0;
  #turn = 0;

  constructor(ask: () => Promise<T>, everyS: number) {
    this.#ask = ask;
    this.everyS = everyS;
  }

  /** Polls until the returned function is called. */
  watch(): () => void {
    this.#users += 1;
    if (this.#users === 1) {
      document.addEventListener("visibilitychange", this.#seen);
      void this.refresh();
    }
    return () => {
      this.#users -= 1;
      if (this.#users === 0) {
        document.removeEventListener("visibilitychange", this.#seen);
        clearTimeout(this.#timer);
      }
    };
  }

  /** Sends a request now. The response is discarded if a later request was sent meanwhile. */
  refresh = async (): Promise<void> => {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    this.#busy.value = true;
    let retryAfterS: number | undefined;
    try {
      const data = await this.#ask();
      if (turn !== this.#turn) return;
      this.set(data);
    } catch (thrown) {
      if (turn !== this.#turn) return;
      const problem = Problem.from(thrown);
      retryAfterS = problem.retryAfterS;
      this.#failures += 1;
      this.#problem.value = problem;
    }
    this.#busy.value = false;
    if (this.#users > 0 && !document.hidden) {
      this.#timer = setTimeout(this.refresh, pauseS(this.everyS, this.#failures, retryAfterS) * 1000);
    }
  };

  /** Takes data from another response, for example of a change. */
  set(data: T): void {
    this.#failures = 0;
    this.#data.value = data;
    this.#problem.value = undefined;
    this.#at.value = serverNow();
  }

  #seen = (): void => {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.refresh();
  };
}
