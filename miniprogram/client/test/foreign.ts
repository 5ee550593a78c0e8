// Runs examples/foreign.js, as it is, in a world with a `wx`.
import { readFileSync } from "node:fs";
import vm from "node:vm";
import type { PhoneClock } from "../src/clock.ts";
import type { Job, Wx } from "../src/types.ts";

export const source = readFileSync(new URL("../examples/foreign.js", import.meta.url), "utf8");
export type Run = (submission: unknown) => Promise<Job>;

export function foreign(wx: Wx, clock: PhoneClock, base?: string): Run {
  const code = base ? source.replace("http://127.0.0.1:8787", base) : source;
  return vm.runInNewContext(`${code}\nrun;`, { wx, setTimeout: (run: () => void, ms: number) => clock.after_(ms, run), Date: { now: clock.now } }) as Run;
}

export const append = (note: string): unknown => ({ tool: "ledger_append", arguments: { note } });
