// Time that a test drives: nothing waits for the real clock.
interface Timer {
  at: number;
  order: number;
  run: () => void;
}

/** Timers run when they are due, in order. `wall` is what `Date.now()` says; it may jump, the timers do not. */
export class Time {
  elapsed = 0;
  wall: number;
  #timers = new Set<Timer>();
  #order = 0;

  constructor(wall = Date.UTC(2026, 10, 22, 10)) {
    this.wall = wall;
  }

  now = (): number => this.wall + this.elapsed;

  setTimeout = (run: () => void, ms: number): Timer => {
    const timer = { at: this.elapsed + Math.max(0, ms), order: (this.#order += 1), run };
    this.#timers.add(timer);
    return timer;
  };

  clearTimeout = (timer: unknown): void => {
    this.#timers.delete(timer as Timer);
  };

  jump(ms: number): void {
    this.wall += ms;
  }

  /** When the next timer is due, from now. */
  next(): number | undefined {
    const timer = this.#first();
    return timer && timer.at - this.elapsed;
  }

  /** Runs the next timer, if it is due within `ms`. */
  async step(ms = Infinity): Promise<boolean> {
    await settle();
    const timer = this.#first();
    if (!timer || timer.at > this.elapsed + ms) return false;
    this.#timers.delete(timer);
    this.elapsed = Math.max(this.elapsed, timer.at);
    timer.run();
    await settle();
    return true;
  }

  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms;
    while (await this.step(end - this.elapsed));
    this.elapsed = end;
  }

  /** Lets time pass until something holds. */
  async until(holds: () => boolean, mostMs = 3_600_000): Promise<void> {
    const end = this.elapsed + mostMs;
    await settle();
    while (!holds()) if (!(await this.step(end - this.elapsed))) throw new Error(`it did not come about in ${mostMs} ms: ${holds}`);
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    return first;
  }
}

/** Runs all pending promise callbacks. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
