// Runs stories, against the model of the service or a real one, and counts what they did.
import { Phone, type Server } from "../test/phone.ts";
import { Service } from "../test/service.ts";
import { Time, settle } from "../test/time.ts";
import { Random } from "./random.ts";
import { type AppKind, type Ending, Story } from "./story.ts";
import type { Live } from "./live.ts";

const HOUR_MS = 3_600_000;
const LONGEST_MS = 6 * HOUR_MS;

export interface Told {
  seed: number;
  endings: Ending[];
  /** Entries that are left in the outbox after every fault has ended. */
  open: boolean;
}

/** Runs a story with a model of the service: service and phone share one simulated time, with different clocks. */
export async function modelStory(seed: number, kind: AppKind): Promise<{ told: Told; effects: (note: string) => number }> {
  const random = new Random(seed);
  const time = new Time();
  const service = new Service(time);
  service.outcome = () => (random.chance(0.03) ? "unknown" : "succeeded");
  service.tookMs = random.weighted([[5, 200], [3, 2_000], [2, 30_000]]);
  const phone = new Phone(time, service.server, "alice");
  phone.latencyMs = random.weighted([[5, 20], [3, 300], [2, 3_000]]);
  const jumps = [-3 * 24 * HOUR_MS, -HOUR_MS, -720_000, 720_000, HOUR_MS, 3 * 24 * HOUR_MS];
  const story = new Story({
    kind, random, phone, time, jumps, baseUrl: "https://api.example.com", revoke: () => service.revoke("alice"),
    wishes: 1 + random.below(4), slowMs: 5_000, name: `${kind}-${seed}`,
  });
  const end = time.elapsed + LONGEST_MS;
  while (!story.over && (await time.step(end - time.elapsed)));
  // What the network still holds arrives now.
  await time.advance(HOUR_MS);
  const effects = (note: string): number => service.ledger.filter((line) => line.note === note).length;
  return { told: { seed, endings: story.endings, open: !story.over }, effects };
}

/** Timers that are driven, under the real clock: the service's own runs by it. */
class LiveTime extends Time {
  override now = (): number => Date.now() + this.wall;
}

/** A story against a real service. While a request is out its answer is waited for, or something else happens first. */
export async function liveStory(seed: number, kind: AppKind, live: Live): Promise<Told> {
  const random = new Random(seed);
  const time = new LiveTime(0);
  const out = new Set<Promise<unknown>>();
  const name = `${live.run}-${kind === "library" ? "l" : "t"}${seed}`;
  const server: Server = (request) => {
    const answer = live.send(request, seed);
    const settled = answer.then(() => undefined, () => undefined).finally(() => out.delete(settled));
    out.add(settled);
    return answer;
  };
  const phone = new Phone(time, server, name);
  const revoke = (): void => {
    const stored = [...phone.stored.values()].map((value) => /"token":"([^"]+)"/.exec(value)?.[1] ?? value).find((value) => value.startsWith("ey"));
    if (stored) void server({ method: "DELETE", url: `${live.url}/v1/sessions`, header: { authorization: `Bearer ${stored}` } }).catch(() => undefined);
  };
  // Between ten and fifteen minutes ahead the client waits, which the real clock does not for a driven timer: no such jump here.
  const jumps = [-3 * 24 * HOUR_MS, -HOUR_MS, HOUR_MS, 3 * 24 * HOUR_MS];
  const story = new Story({
    kind, random, phone, time, jumps, baseUrl: live.url, revoke, wishes: 1 + random.below(3), slowMs: 400, name,
  });
  const mostSteps = 20_000;
  for (let step = 0; step < mostSteps && !story.over; step += 1) {
    await settle();
    const next = time.next() ?? 0;
    if (out.size > 0 && (next > 2_000 || random.chance(0.8))) await Promise.race(out);
    else await time.step();
  }
  await Promise.all(out);
  return { seed, endings: story.endings, open: !story.over };
}

export interface Count {
  stories: number;
  intents: number;
  taps: number;
  once: number;
  /** Effects beyond the first. */
  doubles: number;
  /** Not done, and the user was not told. */
  losses: number;
  /** Not done, and the user was told so. */
  refused: number;
  /** The job or the app reports an unknown outcome. */
  unknown: number;
  open: number;
  faults: string[];
}

export const nothing = (): Count => ({ stories: 0, intents: 0, taps: 0, once: 0, doubles: 0, losses: 0, refused: 0, unknown: 0, open: 0, faults: [] });

/** Compares the ends of the user intents with the ledger. */
export function count(into: Count, { seed, endings, open }: Told, effects: (note: string) => number): void {
  into.stories += 1;
  if (open) {
    into.open += 1;
    into.faults.push(`seed ${seed}: something is left in the outbox`);
  }
  for (const { note, shown, taps, error } of endings) {
    const found = effects(note);
    into.intents += 1;
    into.taps += taps;
    const told = shown === "unknown" || error?.effect === "unknown";
    if (found > 1) into.doubles += found - 1;
    else if (told) into.unknown += 1;
    else if (found === 1) into.once += 1;
    else if (shown === "failed") into.refused += 1;
    else into.losses += 1;
    const claims = shown === "done" || shown === "failed" || told;
    const lies = (shown === "done" && found !== 1) || (shown === "failed" && !told && found !== 0) || !claims;
    if (found > 1 || lies) into.faults.push(`seed ${seed}: ${note} has ${found} effects and shows ${shown} ${error?.code ?? ""}`);
  }
}
