// Approvals and rejections by the user.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rejection, stand, type Stand } from "./stand.ts";
import type { JobHandle } from "../src/types.ts";

async function asked(s: Stand): Promise<JobHandle> {
  const handle = s.client.submit("ledger_pay", { amount: 5, note: "tea" });
  await s.time.until(() => handle.status === "awaiting_approval");
  return handle;
}

test("a yes carries a fresh code, and the job goes on", async () => {
  const s = stand();
  const handle = await asked(s);
  const { logins } = s.phone;
  void handle.approve();
  await s.time.until(() => handle.over);
  assert.equal(s.phone.logins, logins + 1);
  assert.deepEqual([handle.status, s.effects("tea")], ["succeeded", 1]);
});

test("a no needs no code, and nothing runs", async () => {
  const s = stand();
  const handle = await asked(s);
  const { logins } = s.phone;
  const job = await s.run(handle.reject());
  assert.deepEqual([job.status, s.phone.logins, s.effects("tea")], ["refused", logins, 0]);
});

test("a lost answer to a yes is looked up, not repeated blindly", async () => {
  const s = stand();
  const handle = await asked(s);
  s.phone.fate = ({ url }) => (url.endsWith("/approval") ? "answer lost" : "ok");
  const approved = handle.approve();
  await s.time.until(() => handle.over);
  assert.equal((await s.run(approved)).approval?.decision, "approve");
  assert.equal(s.phone.sent.filter(({ url }) => url.endsWith("/approval")).length, 1);
  assert.equal(s.effects("tea"), 1);
});

test("a yes that was lost on the way is sent again with another code", async () => {
  const s = stand();
  const handle = await asked(s);
  let lost = 0;
  s.phone.fate = ({ url }) => (url.endsWith("/approval") && (lost += 1) === 1 ? "lost" : "ok");
  void handle.approve();
  await s.time.until(() => handle.over);
  const codes = s.phone.sent.filter(({ url }) => url.endsWith("/approval")).map(({ data }) => JSON.parse(data!).code);
  assert.equal(new Set(codes).size, 2);
  assert.equal(s.effects("tea"), 1);
});

test("a decision that lost the race is told, and the page has the job as it is", async () => {
  const s = stand();
  const handle = await asked(s);
  const other = s.client.follow(handle.requestId);
  assert.equal(other, handle);
  s.phone.fates = [];
  await s.run(handle.reject());
  const error = await s.run(rejection(handle.approve()));
  assert.equal(error.code, "approval_decided");
  assert.equal(handle.status, "refused");
});

test("a job that asks for nothing says so", async () => {
  const s = stand();
  s.service.tookMs = 60_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  assert.equal((await s.run(rejection(handle.approve()))).code, "approval_not_asked");
});

test("without network a decision is not kept for later", async () => {
  const s = stand();
  const handle = await asked(s);
  s.phone.connect(false);
  const error = rejection(handle.approve());
  await s.time.advance(60_000);
  assert.equal((await error).code, "login_failed");
  s.phone.connect(true);
  await s.time.advance(60_000);
  assert.equal(s.effects("tea"), 0);
});
