// A clock that has jumped deletes nothing until it has shown the same time for a day of running.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { judgeClock } from "../clock-trust.js";
import { clock } from "../clock.js";
import { Journal } from "../journal.js";
import { Mini, temporaryFolder } from "./support/mini.mjs";

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
const TODAY = Date.UTC(2026, 10, 28);

/** Reads the clocks every hour for this long; the wall clock shows `wall`. Returns the last decision and the stored state. */
function hours(count, kept, wall, first = HOUR_MS) {
  let judged;
  for (let hour = 0; hour < count; hour += 1) {
    judged = judgeClock(kept, { now: wall + hour * HOUR_MS, ran: hour === 0 ? first : HOUR_MS });
    kept = { accepted: judged.accepted, suspect: judged.suspect };
  }
  return { ...judged, kept };
}

test("a clock that moves normally is trusted, also after less than a day of downtime", () => {
  const kept = { accepted: TODAY, suspect: null };
  for (const now of [TODAY + HOUR_MS, TODAY - HOUR_MS, TODAY + DAY_MS - 1, TODAY - DAY_MS + 1]) {
    assert.deepEqual(judgeClock(kept, { now, ran: 0 }), { isTrusted: true, accepted: now, suspect: null });
  }
});

test("a clock that has jumped by a day or more is trusted after the process has run for a day", () => {
  for (const jump of [DAY_MS, 40 * DAY_MS, -3 * DAY_MS, -20_000 * DAY_MS]) {
    const kept = { accepted: TODAY, suspect: null };
    assert.equal(hours(24, kept, TODAY + jump).isTrusted, false, String(jump));
    assert.equal(hours(24, kept, TODAY + jump).accepted, TODAY);
    const confirmed = hours(25, kept, TODAY + jump);
    assert.deepEqual([confirmed.isTrusted, confirmed.accepted], [true, TODAY + jump + 24 * HOUR_MS]);
  }
});

test("a restart does not restart that day, another jump does", () => {
  const first = hours(13, { accepted: TODAY, suspect: null }, TODAY + 40 * DAY_MS);
  const wall = TODAY + 40 * DAY_MS + 14 * HOUR_MS;
  assert.equal(hours(12, first.kept, wall, 0).isTrusted, false);
  assert.equal(hours(13, first.kept, wall, 0).isTrusted, true);
  assert.equal(hours(13, first.kept, wall + 2 * DAY_MS, 0).isTrusted, false);
  assert.equal(hours(24, first.kept, wall + 2 * DAY_MS, 0).isTrusted, false);
});

test("a clock that is corrected is trusted at once", () => {
  const { kept } = hours(10, { accepted: TODAY, suspect: null }, TODAY + 40 * DAY_MS);
  assert.deepEqual(judgeClock(kept, { now: TODAY + 10 * HOUR_MS, ran: HOUR_MS }),
    { isTrusted: true, accepted: TODAY + 10 * HOUR_MS, suspect: null });
});

test("a gateway that starts with a clock 40 days ahead forgets nothing, and runs nothing twice", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.append(key);
  gateway.args = ["--clock-offset", String(40 * DAY_MS)];
  await gateway.restart();
  const again = await gateway.append(key);
  assert.deepEqual([again.status, again.body.entry.state, again.body.entry.replayed], [200, "finished", true]);
  assert.deepEqual(gateway.effects(key), ["append"]);
  assert.match(gateway.log, /nothing is deleted for a day/);
});

test("rows written while the clock showed 1970 are not pruned first once it is set", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.append(gateway.key());
  gateway.args = [`--clock-offset=-${Date.now()}`];
  await gateway.restart();
  const key = gateway.key();
  const { entry } = (await gateway.append(key)).body;
  assert.ok(entry.ended_ms > TODAY - 365 * DAY_MS, `${entry.ended_ms}`);
  gateway.args = [];
  await gateway.restart();
  assert.equal((await gateway.append(key)).body.entry.replayed, true);
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a clock that has jumped prunes again when it is confirmed, and ends no conversation before", (t) => {
  const folder = temporaryFolder("clock");
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  let [wall, elapsed, swept] = [TODAY, 0, 0];
  const { now: wallOf, elapsed: elapsedOf } = clock;
  t.after(() => Object.assign(clock, { now: wallOf, elapsed: elapsedOf }));
  Object.assign(clock, { now: () => wall, elapsed: () => elapsed });
  const pass = (ms) => ((wall += ms), (elapsed += ms));
  const journal = new Journal({ file: path.join(folder, "j.sqlite"), retentionMs: 30 * DAY_MS, resultCap: 1000 });
  journal.onPrune = () => (swept += 1);
  const done = journal.claim({ key: "done", state: "started" });
  journal.finish(done, { state: "finished", status: 200, result: null });
  journal.prune();
  assert.equal(swept, 1);
  wall += 40 * DAY_MS;
  for (let hour = 0; hour < 24; hour += 1) {
    journal.prune();
    pass(HOUR_MS);
  }
  assert.deepEqual([journal.find("done") !== undefined, swept], [true, 1]);
  journal.prune();
  assert.deepEqual([journal.find("done"), swept], [undefined, 2]);
});
