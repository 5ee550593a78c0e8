// A limit of the service delays the whole client, not each intent separately.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fate, WireRequest } from "./phone.ts";
import { stand, type Stand } from "./stand.ts";

const isSubmission = ({ method, url }: WireRequest): boolean => method === "POST" && url.endsWith("/v1/jobs");
const submissions = (s: Stand): number => s.phone.sent.filter(isSubmission).length;

/** Refuses submissions as long as `refused` says so. */
async function limited(refused: (request: WireRequest) => Fate | false): Promise<Stand> {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fate = (request) => (isSubmission(request) && refused(request)) || "ok";
  return s;
}

for (const code of ["rate_limited", "in_flight_full"]) {
  test(`thirty intents that meet ${code} send one request each Retry-After`, async () => {
    let full = true;
    const s = await limited(() => full && { status: 429, after: false, code, retryAfter: 10 });
    const handles = Array.from({ length: 30 }, (_, number) => s.client.submit("ledger_append", { note: `n${number}` }));
    await s.time.advance(59_000);
    assert.equal(submissions(s), 6);
    full = false;
    await s.time.until(() => handles.every(({ over }) => over));
    assert.deepEqual(s.service.ledger.map(({ note }) => note), handles.map((_, number) => `n${number}`), "in their order");
  });
}

test("an intent made while the client rests waits as well, and a restart sends one", async () => {
  const s = await limited(() => ({ status: 429, after: false, code: "rate_limited", retryAfter: 30 }));
  s.client.submit("ledger_append", { note: "first" });
  await s.time.advance(1_000);
  for (let number = 0; number < 20; number += 1) s.client.submit("ledger_append", { note: `n${number}` });
  await s.time.advance(20_000);
  assert.equal(submissions(s), 1);
  s.restart();
  await s.time.advance(20_000);
  assert.equal(submissions(s), 2);
});

test("turns that are as many as may be open do not hold up calls of tools", async () => {
  let full = true;
  const s = await limited(({ data }) => full && data!.includes("message") && { status: 429, after: false, code: "in_flight_full", retryAfter: 10 });
  const turns = ["one", "two", "three"].map((message) => s.client.say(message, { conversation: message }));
  const call = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => call.over, 5_000);
  await s.time.advance(54_000);
  assert.equal(submissions(s), 1 + 6);
  full = false;
  await s.time.until(() => turns.every(({ over }) => over));
});

test("what the user takes back is asked for at once while submissions are limited", async () => {
  const s = await limited(({ data }) => data!.includes("milk") ? { status: 429, after: false, code: "rate_limited", retryAfter: 600 } : "answer lost");
  s.service.tookMs = 60_000;
  const tea = s.client.submit("ledger_append", { note: "tea" });
  s.client.submit("ledger_append", { note: "milk" });
  await s.time.until(() => submissions(s) === 2);
  await s.run(tea.cancel());
  await s.time.until(() => tea.over, 60_000);
  assert.deepEqual([tea.status, s.effects("tea")], ["cancelled", 0]);
});

test("jobs that are open are followed while submissions are limited", async () => {
  const s = await limited(({ data }) => data!.includes("milk") && { status: 429, after: false, code: "rate_limited", retryAfter: 3_600 });
  s.service.tookMs = 5_000;
  const tea = s.client.submit("ledger_append", { note: "tea" });
  s.client.submit("ledger_append", { note: "milk" });
  await s.time.until(() => tea.over, 10_000);
});

test("the longest Retry-After counts, and the order within a conversation stays", async () => {
  let full = true;
  const s = await limited(({ data }) => full && { status: 429, after: false, code: data!.includes("message") ? "in_flight_full" : "rate_limited", retryAfter: data!.includes("message") ? 5 : 60 });
  const turns = ["one", "two", "three"].map((message) => s.client.say(message, { conversation: "notes" }));
  const call = s.client.submit("ledger_append", { note: "tea" });
  await s.time.advance(58_000);
  assert.equal(submissions(s), 2, "one of each kind");
  full = false;
  await s.time.until(() => call.over && turns.every(({ over }) => over));
  assert.deepEqual(s.service.ledger.map(({ note }) => note).filter((note) => note !== "tea"), ["one", "two", "three"]);
});
