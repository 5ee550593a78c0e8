// node sim/main.ts [--model N] [--live N] [--real N] [--app library|tutorial|tutorial-id-per-tap] [--from SEED]
//                   [--at-once N] [--seconds N] [--directory DIR]
//
// --model  so many seeds against the model of the service, in this process
// --live   so many seeds against the service itself (LOCAL, by default target/debug/local) with the mini gateway
// --real   so many with the real gateway, which takes a minute to start
// Ends with 1 when the library did anything twice, lost anything or left anything behind.
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { type Live, startService } from "./live.ts";
import { type Count, count, liveStory, modelStory, nothing, type Told } from "./run.ts";
import type { AppKind } from "./story.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "0" },
    live: { type: "string", default: "0" },
    real: { type: "string", default: "0" },
    app: { type: "string", default: "library" },
    from: { type: "string", default: "1" },
    "at-once": { type: "string", default: "12" },
    seconds: { type: "string", default: "100000" },
    directory: { type: "string", default: `${tmpdir()}/openclaw-sim-${process.pid}` },
  },
});
const kind = values.app as AppKind;
const from = Number(values.from);
const end = Date.now() + Number(values.seconds) * 1000;

async function onModel(seeds: number): Promise<Count> {
  const total = nothing();
  for (let seed = from; seed < from + seeds && Date.now() < end; seed += 1) {
    const { told, effects } = await modelStory(seed, kind);
    count(total, told, effects);
  }
  return total;
}

async function onService(seeds: number, live: Live): Promise<Count> {
  const told: Told[] = [];
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < from + seeds && Date.now() < end) told.push(await liveStory(next++, kind, live));
  };
  try {
    await Promise.all(Array.from({ length: Number(values["at-once"]) }, worker));
    // Jobs that the tutorial's app no longer knows have to end, too.
    await settled(live);
    const effects = live.effects();
    const total = nothing();
    for (const story of told) count(total, story, (note) => effects.get(note) ?? 0);
    return total;
  } finally {
    await live.stop();
  }
}

/** Waits until the ledger has not grown for two seconds. */
async function settled(live: Live): Promise<void> {
  for (let size = -1; ; ) {
    const now = [...live.effects().values()].reduce((sum, found) => sum + found, 0);
    if (now === size) return;
    size = now;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

function report(where: string, { faults, ...total }: Count, seconds: number): void {
  console.log(`${kind}, ${where}: ${Object.entries(total).map(([name, value]) => `${name} ${value}`).join(", ")} (${seconds} s)`);
  if (kind === "library") for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
}

let faults = 0;
const runs: [string, number, (seeds: number) => Promise<Count>][] = [
  ["model of the service", Number(values.model), onModel],
  ["service with the mini gateway", Number(values.live), async (seeds) => onService(seeds, await startService(values.directory))],
  ["service with the real gateway", Number(values.real), async (seeds) => onService(seeds, await startService(values.directory, true))],
];
for (const [where, seeds, run] of runs) {
  if (seeds === 0) continue;
  const began = Date.now();
  const total = await run(seeds);
  report(where, total, Math.round((Date.now() - began) / 1000));
  faults += total.faults.length;
}
process.exit(kind === "library" && faults > 0 ? 1 : 0);
