import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, problemOf } from "../../src/api/problem.ts";
import { pages } from "../../src/api/pages.ts";
import { pauseS } from "../../src/live/poll.ts";
import { address, parse, sought, type Route } from "../../src/route.ts";
import { endOf } from "../../src/session/session.ts";

test("every screen has an address that opens it", () => {
  const places: Route[] = [
    { at: "waiting" }, { at: "running" }, { at: "wrong", tab: "unknown" }, { at: "wrong", tab: "dead-letters" }, { at: "switches" },
    { at: "charts" }, { at: "audit" }, { at: "account" }, { at: "job", job: "a/b#c%d" }, { at: "user", user: "ü" },
  ];
  for (const place of places) assert.deepEqual(parse(address(place)), place);
});

test("an unknown address opens the first screen", () => {
  for (const hash of ["", "#", "#/", "#/nothing", "#/job/", "#/user", "#/job/%E0%A4%A"]) assert.deepEqual(parse(hash), { at: "waiting" });
  assert.deepEqual(parse("#/wrong/<script>"), { at: "wrong", tab: "unknown" });
});

test("a search knows support codes and user ids, and nothing else", () => {
  const code = "Ab-_".repeat(10) + "abc";
  assert.deepEqual(sought(` ${code} `), { at: "job", job: code });
  assert.deepEqual(sought("019A8F3C-7E10-7ABC-9DEF-0123456789AB"), { at: "user", user: "019a8f3c-7e10-7abc-9def-0123456789ab" });
  for (const text of ["", "x", code + "x", "javascript:alert(1)", "../../etc/passwd"]) assert.equal(sought(text), undefined);
});

test("a failing request is repeated with growing pauses, never before Retry-After", () => {
  assert.deepEqual([0, 1, 2, 3, 9].map((failures) => pauseS(5, failures, undefined)), [5, 10, 20, 40, 60]);
  assert.equal(pauseS(5, 1, 30), 30);
  assert.equal(pauseS(5, 0, 30), 30);
});

test("a problem keeps the service's code, and a proxy's page becomes one of ours", async () => {
  const answer = (status: number, type: string, body: string) => new Response(body, { status, headers: { "content-type": type, "retry-after": "7" } });
  const problem = await problemOf(answer(409, "application/problem+json", '{"code":"approval_decided","title":"T","detail":"D"}'));
  assert.deepEqual([problem.code, problem.status, problem.title, problem.detail, problem.retryAfterS], ["approval_decided", 409, "T", "D", 7]);
  for (const [type, body] of [["text/html", "<h1>Bad gateway"], ["application/json", "{"], ["application/json", "null"], ["application/json", '{"code":1}']] as const) {
    assert.equal((await problemOf(answer(502, type, body))).code, "http_502");
  }
  assert.equal(Problem.from(new TypeError("x")).code, "page_fault");
});

test("a list is read page by page up to the requested length", async () => {
  const list = ["a", "b", "c"];
  const ask = async (cursor?: string) => {
    const at = Number(cursor ?? 0);
    return { entries: [list[at]], ...(at + 1 < list.length ? { next_cursor: String(at + 1) } : {}) };
  };
  assert.deepEqual((await pages(1, ask, (page) => page.entries)).entries, ["a"]);
  assert.equal((await pages(2, ask, (page) => page.entries)).next, "2");
  const all = await pages(9, ask, (page) => page.entries);
  assert.deepEqual([all.entries, all.next], [list, undefined]);
});

test("an empty page with a next cursor is skipped", async () => {
  const list = [[], [], ["a"], ["b"]];
  const ask = async (cursor?: string) => {
    const at = Number(cursor ?? 0);
    return { entries: list[at] ?? [], ...(at + 1 < list.length ? { next_cursor: String(at + 1) } : {}) };
  };
  const read = await pages(1, ask, (page) => page.entries);
  assert.deepEqual([read.entries, read.next], [["a"], "3"]);
});

test("a token that is no JWT has no end that this page knows", () => {
  assert.equal(endOf(`x.${btoa('{"exp":1800000000}')}.y`), 1_800_000_000_000);
  for (const token of ["", "x", "x.y.z", `x.${btoa("null")}.y`, `x.${btoa('{"exp":"soon"}')}.y`]) assert.equal(endOf(token), undefined);
});
