import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { ClientError, Job } from "openclaw-miniprogram-client";
import { codes } from "openclaw-miniprogram-client/text";
import { countdown } from "../../miniprogram/view/countdown.ts";
import { seenJob, viewOf } from "../../miniprogram/view/job-view.ts";
import { languageOf, scaleOf } from "../../miniprogram/view/language.ts";
import { linesOf } from "../../miniprogram/view/lines.ts";
import { noticeOfError, noticeOfHandle, noticeOfJob } from "../../miniprogram/view/notice.ts";
import { textsOf } from "../../miniprogram/view/texts.ts";

const error = (code: string, more: object = {}): ClientError => Object.assign(new Error(code), { code, retryable: false }, more) as unknown as ClientError;
type Ended = Pick<Job, "status" | "effect" | "error">;
const ended = (status: Job["status"], effect?: Job["effect"], code?: string): Ended =>
  ({ status, ...(effect && { effect }), ...(code && { error: { code, message: "" } }) }) as Ended;

test("every text is there in both languages, and the English has no Chinese", () => {
  const [zh, en] = [textsOf("zh"), textsOf("en")];
  for (const key of Object.keys(zh) as (keyof typeof zh)[]) {
    assert.ok(zh[key] && en[key], key);
    assert.doesNotMatch(en[key], /[\u4e00-\u9fff]/, key);
    assert.match(zh[key], /[\u4e00-\u9fff]/, key);
  }
});

test("what leads back to the list of tools says so", async () => {
  const page = await readFile(new URL("../../miniprogram/pages/ask/ask.wxml", import.meta.url), "utf8");
  const labels = [...page.matchAll(/bind:tap="otherTool">\{\{t\.(\w+)\}\}</g)].map(([, key]) => key);
  assert.deepEqual(labels, ["back_to_tools", "back_to_tools"]);
  assert.deepEqual([textsOf("zh").back_to_tools, textsOf("en").back_to_tools], ["返回工具列表", "Back to tools"]);
});

test("a job of the history whose status a newer service has made is open and shown as running", () => {
  const job = { request_id: "r", status: "of_a_newer_service", steps: [], support_code: "S", created_at: "2026-11-29T09:00:00.000Z" } as unknown as Job;
  const { over, notice, statusText, cancellable } = viewOf(seenJob(job), "en");
  assert.deepEqual([over, notice, statusText, cancellable], [false, null, "In progress.", true]);
});

test("every code of the client has a notice that says what to do, in both languages", () => {
  assert.ok(codes().length > 50);
  for (const code of codes()) {
    for (const language of ["zh", "en"] as const) {
      const { title, text, advice, kind } = noticeOfError(error(code), language);
      assert.ok(title && text && advice, code);
      if (code === "rate_limited" || code === "mode_closed") assert.equal(kind, "limited");
    }
  }
});

test("asking again is offered only where nothing happened", () => {
  assert.equal(noticeOfJob(ended("failed", "not_run"), "en")!.again, true);
  assert.equal(noticeOfJob(ended("expired", "not_run", "approval_expired"), "en")!.again, true);
  assert.equal(noticeOfJob(ended("explained", "not_run"), "en")!.again, true);
  assert.equal(noticeOfJob(ended("failed", "ran"), "en")!.again, false);
  assert.equal(noticeOfJob(ended("unknown", "unknown", "outcome_unknown"), "en")!.again, false);
  assert.equal(noticeOfError(error("request_id_expired", { effect: "unknown" }), "en").again, false);
  // It goes on by itself: asking again would be a second job.
  assert.equal(noticeOfError(error("offline", { retryable: true }), "en").again, false);
});

test("what waits for a limit goes on by itself, and what was refused for one does not", () => {
  assert.match(noticeOfError(error("rate_limited", { retryable: true }), "en").advice, /goes on by itself/);
  assert.match(noticeOfError(error("mode_read_only", { effect: "not_run" }), "en").advice, /Ask again later/);
  assert.match(noticeOfJob(ended("refused", "not_run", "mode_closed"), "zh")!.advice, /重新提交/);
});

test("each end of a job has the notice of its own kind, and success has none", () => {
  const kinds = [
    [ended("succeeded"), undefined], [ended("refused", "not_run", "policy_denied"), "refused"], [ended("refused", "not_run", "approval_rejected"), "refused"],
    [ended("refused", "not_run", "mode_read_only"), "limited"], [ended("explained", "not_run"), "explained"], [ended("expired", "not_run"), "expired"],
    [ended("cancelled", "not_run"), "cancelled"], [ended("cancelled", "ran"), "partly"], [ended("failed", "unknown"), "unknown"],
    [ended("unknown", "unknown"), "unknown"], [ended("failed", "not_run"), "failed"],
  ] as const;
  for (const [job, kind] of kinds) assert.equal(noticeOfJob(job, "zh")?.kind, kind, JSON.stringify(job));
});

test("an open intent says what keeps it from going on, and that it need not be sent again", () => {
  const notice = noticeOfHandle({ over: false, job: undefined, error: error("offline") }, "en")!;
  assert.equal(notice.kind, "offline");
  assert.match(notice.advice, /Do not send it again/);
});

test("the countdown ends at zero and warns in the last minute", () => {
  const at = "2026-11-22T10:10:00.000Z";
  const before = (seconds: number): number => Date.parse(at) - seconds * 1000;
  assert.deepEqual(countdown(at, before(545)), { text: "9:05", over: false, soon: false });
  // Never more than there is: a decision in the last part of a second could come too late.
  assert.deepEqual(countdown(at, before(1.8)), { text: "0:01", over: false, soon: true });
  assert.deepEqual(countdown(at, before(0.8)), { text: "0:00", over: true, soon: true });
  assert.deepEqual(countdown(at, before(-5)), { text: "0:00", over: true, soon: true });
  assert.equal(countdown(at, before(3729)).text, "1:02:09");
});

test("arguments are shown whole, one line for each value", () => {
  assert.deepEqual(linesOf({ a: 1, b: { c: ["x", { d: null }] }, e: "", f: {}, g: [] }), [
    { name: "a", value: "1" }, { name: "b.c[1]", value: "x" }, { name: "b.c[2].d", value: "null" },
    { name: "e", value: '""' }, { name: "f", value: "{}" }, { name: "g", value: "[]" },
  ]);
});

test("the language and the text size are those of WeChat", () => {
  assert.deepEqual(["zh_CN", "zh_TW", "en", "ja", undefined].map(languageOf), ["zh", "zh", "en", "en", "zh"]);
  assert.deepEqual([undefined, 12, 17, 34, 90].map(scaleOf), [1, 1, 1, 1.8, 1.8]);
});
