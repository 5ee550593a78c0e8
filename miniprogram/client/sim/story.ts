// One phone and its user for some minutes, from a seed: taps, double taps, lost requests and answers, background, kills, restarts,
// clock jumps, airplane mode, sessions that end, limits, outages and slow tools. In the end every fault is over.
import type { Fate, Phone } from "../test/phone.ts";
import type { Time } from "../test/time.ts";
import type { App, Shown, Wish } from "./apps.ts";
import { LibraryApp, TutorialApp } from "./apps.ts";
import type { Random } from "./random.ts";

export type AppKind = "library" | "tutorial" | "tutorial-id-per-tap";

const FATES: readonly (readonly [number, Fate])[] = [
  [70, "ok"],
  [7, "lost"],
  [9, "answer lost"],
  [4, "resent"],
  [2, "late"],
  [1, { status: 401, after: false, code: "no_session" }],
  [2, { status: 429, after: false, code: "rate_limited", retryAfter: 3 }],
  [2, { status: 503, after: false, code: "unavailable", retryAfter: 1 }],
  [2, { status: 503, after: true, code: "unavailable", retryAfter: 1 }],
  [1, { status: 502, after: true, code: "" }],
];

export interface StoryOptions {
  kind: AppKind;
  random: Random;
  phone: Phone;
  time: Time;
  baseUrl: string;
  /** Ends the sessions of the phone's user at the service. */
  revoke(): void;
  wishes: number;
  slowMs: number;
  name: string;
  jumps: readonly number[];
}

/** The end of a user intent, as the app shows it. */
export interface Ending extends Wish {
  shown: Shown;
  taps: number;
  error?: { code: string; effect?: string };
}

export class Story {
  wishes: Wish[] = [];
  taps = new Map<string, number>();
  /** The last that the app showed before it was killed: the user remembers what was done. */
  #remembered = new Map<string, Shown>();
  #app: App | undefined;
  #options: StoryOptions;
  #ended = false;

  constructor(options: StoryOptions) {
    this.#options = options;
    options.phone.fate = () => (this.#ended ? "ok" : options.random.weighted(FATES));
    this.#start();
    this.#plan();
    options.time.setTimeout(this.#look, 1000);
  }

  /** No user intent is open, and the user has made every tap. */
  get over(): boolean {
    return this.#ended && this.#app?.open() === 0;
  }

  get endings(): Ending[] {
    return this.wishes.map((wish) => {
      const error = this.#app instanceof LibraryApp ? this.#app.error(wish.note) : undefined;
      return { ...wish, shown: this.#shown(wish.note), taps: this.taps.get(wish.note)!, ...(error && { error }) };
    });
  }

  #shown(note: string): Shown {
    const shown = this.#app?.shown(note) ?? "none";
    return shown === "none" ? (this.#remembered.get(note) ?? "none") : shown;
  }

  #start(): void {
    const { phone, kind, baseUrl } = this.#options;
    const wx = phone.start();
    this.#app = kind === "library" ? new LibraryApp(wx, phone.clock, baseUrl) : new TutorialApp(wx, phone.clock, baseUrl, kind === "tutorial-id-per-tap");
  }

  #kill(): void {
    for (const { note } of this.wishes) {
      const shown = this.#shown(note);
      if (shown === "done" || shown === "unknown") this.#remembered.set(note, shown);
    }
    this.#options.phone.kill();
    this.#app = undefined;
  }

  #tap(wish: Wish, times = 1): void {
    if (!this.#app || !this.#options.phone.inForeground) return;
    if (!this.wishes.includes(wish)) this.wishes.push(wish);
    for (let tap = 0; tap < times; tap += 1) {
      this.taps.set(wish.note, (this.taps.get(wish.note) ?? 0) + 1);
      this.#app.tap(wish);
    }
  }

  #wish(): Wish {
    const { random, name, slowMs } = this.#options;
    const note = `${name}-${this.wishes.length}`;
    const tool = random.weighted([[6, "ledger_append"], [2, "ledger_sleep"], [2, "ledger_pay"]] as const);
    return tool === "ledger_sleep" ? { note, tool, ms: random.below(slowMs) } : { note, tool };
  }

  #plan(): void {
    const { random, time, phone, revoke, wishes, jumps } = this.#options;
    let at = 0;
    const later = (run: () => void): void => {
      at += random.chance(0.4) ? random.below(300) : random.below(15_000);
      time.setTimeout(run, at);
    };
    for (let wish = 0; wish < wishes; wish += 1) {
      later(() => this.#tap(this.#wish(), random.chance(0.3) ? 2 : 1));
      for (let event = random.below(5); event > 0; event -= 1) {
        later(
          random.weighted<() => void>([
            [3, () => phone.background()],
            [5, () => (phone.running ? phone.foreground() : this.#start())],
            [2, () => this.#kill()],
            [3, () => this.#start_again()],
            [2, () => phone.connect(false)],
            [3, () => phone.connect(true)],
            [1, () => time.jump(jumps[random.below(jumps.length)]!)],
            [1, revoke],
          ]),
        );
      }
    }
    later(() => {
      this.#ended = true;
      phone.connect(true);
      if (phone.running) phone.foreground();
      else this.#start();
    });
  }

  #start_again(): void {
    if (this.#options.phone.running) this.#kill();
    this.#start();
  }

  /** The user looks at the screen: approves requests, and taps again what failed or is missing. */
  #look = (): void => {
    const { random, phone, time } = this.#options;
    if (this.#app && phone.inForeground) {
      for (const wish of this.wishes) {
        const shown = this.#shown(wish.note);
        if (shown === "asks") this.#app.approve(wish.note);
        const gone = shown === "failed" || shown === "none";
        if (gone && this.taps.get(wish.note)! < 6 && random.chance(0.5)) this.#tap(wish);
      }
    }
    time.setTimeout(this.#look, 1000);
  };
}
