// Several clients for one user's outbox: of two pages, of two copies of the library, and of before and after a close.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "../src/client.ts";
import type { Client } from "../src/types.ts";
import { BASE_URL, stand, type Stand } from "./stand.ts";

/** Another copy of the library cannot know the object that the first stores with. */
const copyOf = (s: Stand, wx = s.phone.start()): Client => createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock, storage: s.phone.storage() });

test("two pages that make a client for one storage and one service share it", async () => {
  const s = stand();
  const wx = s.phone.start();
  const make = (baseUrl = BASE_URL): Client => createClient({ baseUrl, wx, clock: s.phone.clock });
  const client = make();
  assert.equal(make(`${BASE_URL}/`), client);
  assert.notEqual(make("https://other.example.com"), client);
  const handle = client.submit("ledger_append", { note: "tea" });
  assert.equal(make().submit("ledger_append", { note: "tea" }), handle, "a double tap over two pages is one intent");
  await s.time.until(() => handle.over);
  assert.equal(s.effects("tea"), 1);
});

test("a client that was closed is not given out again, also when it is closed twice", async () => {
  const s = stand();
  const wx = s.phone.start();
  const make = (): Client => createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock });
  const first = make();
  first.close();
  const second = make();
  assert.notEqual(second, first);
  first.close();
  assert.equal(make(), second);
  const handle = second.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.over);
});

test("two clients on one outbox erase no intent of each other", async () => {
  const s = stand();
  const wx = s.phone.start();
  const [one, two] = [copyOf(s, wx), copyOf(s, wx)];
  s.phone.connect(false);
  one.submit("ledger_append", { note: "tea" });
  two.submit("ledger_append", { note: "milk" });
  one.submit("ledger_append", { note: "bread" });
  const client = s.restart();
  assert.equal(client.open().length, 3);
  s.phone.connect(true);
  await s.time.until(() => client.open().length === 0);
  assert.deepEqual(s.service.ledger.map(({ note }) => note).sort(), ["bread", "milk", "tea"]);
});

test("what one client has seen end, the write of another does not bring back", async () => {
  const s = stand();
  const wx = s.phone.start();
  const [one, two] = [copyOf(s, wx), copyOf(s, wx)];
  const tea = one.submit("ledger_append", { note: "tea" });
  const milk = two.submit("ledger_append", { note: "milk" });
  await s.time.until(() => tea.over && milk.over);
  assert.deepEqual(s.restart().open(), []);
  assert.deepEqual([s.effects("tea"), s.effects("milk")], [1, 1]);
});

test("an answer that reaches a closed client erases nothing of the one that took its place", async () => {
  const s = stand();
  s.phone.latencyMs = 1_000;
  const wx = s.phone.start();
  const make = (): Client => createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock });
  const first = make();
  first.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.phone.sent.some(({ url }) => url.endsWith("/v1/jobs")));
  first.close();
  make().submit("ledger_append", { note: "milk" });
  await s.time.advance(2_000);
  const client = s.restart();
  await s.time.until(() => client.open().length === 0);
  assert.deepEqual([s.effects("tea"), s.effects("milk"), s.service.submissions], [1, 1, 2]);
});

test("a client that is closed while it logs in sends nothing afterwards", async () => {
  const s = stand();
  s.phone.latencyMs = 1_000;
  s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => s.phone.sent.length === 1);
  s.client.close();
  await s.time.advance(60_000);
  assert.equal(s.phone.sent.length, 1);
  const client = s.restart();
  await s.time.until(() => client.open().length === 0);
  assert.equal(s.effects("tea"), 1);
});

test("a new id that a closed client takes too late is not stored beside that of the client in its place", async () => {
  const s = stand();
  await s.run(s.client.login());
  const { server } = s.phone;
  let slow = true;
  s.phone.server = async (request) => {
    const response = await server(request);
    if (request.url.endsWith("/v1/jobs") && slow) {
      slow = false;
      await new Promise<void>((resolve) => s.time.setTimeout(resolve, 5_000));
    }
    return response;
  };
  s.phone.kill();
  // Ids of this phone are refused, and no copy of such a request is ever taken: each client makes a new one.
  s.time.jump(20 * 60_000);
  const wx = s.phone.start();
  const make = (): Client => createClient({ baseUrl: BASE_URL, wx, clock: s.phone.clock });
  const first = make();
  first.submit("ledger_append", { note: "tea" });
  await s.time.until(() => !slow);
  first.close();
  const second = make();
  await s.time.until(() => second.open().length === 0);
  await s.time.advance(10_000);
  const third = s.restart();
  await s.time.until(() => third.open().length === 0);
  assert.equal(s.effects("tea"), 1);
});
