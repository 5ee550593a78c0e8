// The library against the contract, openapi.yaml, and against its own promises.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { build } from "esbuild";
import { options } from "../build.mjs";
import { contract, generate } from "../scripts/types.mjs";
import { codes, errorText, isOver, jobText } from "../src/text.ts";
import { phoneError, serviceError } from "../src/errors.ts";
import { stand } from "./stand.ts";

const here = (path: string): URL => new URL(path, import.meta.url);
const PHONE_CODES = ["offline", "login_failed", "domain_not_listed", "outbox_full", "storage_failed", "cancelled", "closed"];

test("src/api.gen.ts is what openapi.yaml gives", async () => {
  assert.equal(await readFile(here("../src/api.gen.ts"), "utf8"), await generate());
});

test("every documented code has a sentence in Chinese and English, and no other has", async () => {
  const documented: string[] = (await contract()).components.schemas.Code.enum;
  assert.deepEqual([...codes()].sort(), [...documented, ...PHONE_CODES].sort());
  for (const code of codes()) {
    const { zh, en } = errorText({ code } as never);
    assert.match(zh, /^\p{Script=Han}.*。$/u);
    assert.match(en, /^[A-Z][\x20-\x7e]*\.$/);
  }
  assert.ok(errorText({ code: "of_a_newer_service" } as never).en);
});

test("every status of a job has a sentence, and one without success says what it did", async () => {
  const { JobStatus, Effect } = (await contract()).components.schemas;
  for (const status of JobStatus.enum) for (const effect of [undefined, ...Effect.enum]) assert.ok(jobText({ status, effect }).zh, status);
  assert.notDeepEqual(jobText({ status: "failed", effect: "ran" }), jobText({ status: "failed", effect: "not_run" }));
  assert.match(jobText({ status: "awaiting_approval", held: { code: "content_held" } as never }).en, /being reviewed/);
  assert.match(jobText({ status: "refused", effect: "not_run" }).en, /Nothing was done/);
  assert.ok(jobText({ status: "failed", effect: "of_a_newer_service" } as never).en);
  assert.deepEqual(jobText({ status: "of_a_newer_service" } as never), jobText({ status: "running" }), "what is not known to be over goes on");
  const open = ["queued", "running", "retrying", "awaiting_approval"];
  assert.deepEqual(JobStatus.enum.filter((status: string) => !isOver(status)), open, "the library knows every status that ends a job");
  assert.equal(isOver("of_a_newer_service"), false);
});

test("an error says whether the same request may succeed later, and when", async () => {
  const problem = (status: number, code: string) => serviceError(status, { type: "", title: "", status, code } as never, 3000);
  for (const [status, code, retryable] of [[429, "rate_limited", true], [503, "unavailable", true], [401, "no_session", true], [422, "arguments_invalid", false], [403, "policy_denied", false]] as const) {
    assert.equal(problem(status, code).retryable, retryable, code);
  }
  assert.equal(problem(429, "rate_limited").retryAfterMs, 3000);
  assert.equal(phoneError("offline", "x").retryable, true);
  assert.equal(phoneError("domain_not_listed", "x").retryable, false);
});

test("the client is under 13 kB minified, and depends on nothing", async () => {
  const { outputFiles } = await build({ ...options("esm", "dist"), write: false } as never);
  const size = (name: string): number => outputFiles.find(({ path }) => path.endsWith(`/${name}.js`))!.contents.length;
  assert.ok(size("index") < 13_000, `index.js has ${size("index")} bytes`);
  const { dependencies } = JSON.parse(await readFile(here("../package.json"), "utf8"));
  assert.equal(dependencies, undefined);
});

test("no request has a header x-wx-* or the method PATCH, and paths are those of the contract", async () => {
  const s = stand();
  const handle = s.client.submit("ledger_pay", { amount: 5, note: "tea" });
  await s.time.until(() => handle.status === "awaiting_approval");
  await s.run(Promise.all([handle.approve(), s.client.tools(), s.client.agents(), s.time.until(() => handle.over)]));
  await s.run(handle.cancel());
  const { paths } = await contract();
  const known = Object.keys(paths).map((path) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`));
  assert.ok(s.phone.sent.length >= 5);
  for (const { method, url, header } of s.phone.sent) {
    assert.ok(known.some((path) => path.test(new URL(url).pathname)), url);
    assert.ok(["GET", "POST", "DELETE"].includes(method));
    assert.ok(Object.keys(header).every((name) => !/^x-wx-/i.test(name)));
  }
});

test("asking for push messages happens inside the tap, and the service is told what was accepted", async () => {
  const s = stand();
  const wx = s.phone.start();
  let asked: string[] = [];
  wx.requestSubscribeMessage = ({ tmplIds, success }) => {
    asked = tmplIds;
    success({ errMsg: "requestSubscribeMessage:ok", a: "accept", b: "reject" });
  };
  const { createClient } = await import("../src/client.ts");
  const client = createClient({ baseUrl: "https://api.example.com", wx, clock: s.phone.clock });
  const notifications = [
    { name: "one", title: "One", template_id: "a" },
    { name: "two", title: "Two", template_id: "b" },
  ];
  const result = client.requestSubscribe(notifications);
  assert.deepEqual(asked, ["a", "b"], "WeChat was asked before anything was awaited");
  const answers = { one: "accept", two: "reject" };
  assert.deepEqual(await s.run(result), { notifications: answers, recorded: true });
  assert.deepEqual(s.service.accepted, ["one"]);
  wx.requestSubscribeMessage = ({ fail }) => fail({ errMsg: "requestSubscribeMessage:fail can only be invoked by user TAP gesture.", errCode: 20013 });
  assert.equal((await client.requestSubscribe(notifications)).error?.code, 20013);
  const { submission } = client.submit("ledger_read", {}, { notify: "one" });
  assert.equal(submission?.notify, "one");
});
