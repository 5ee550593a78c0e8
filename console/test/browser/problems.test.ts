import assert from "node:assert/strict";
import { test } from "node:test";
import type { Console } from "./support/browser.ts";
import { alice, openAs, stand } from "./support/fixture.ts";

let open: Console;

test("an unknown write is resolved with a note, once, and its user reads it", async () => {
  const job = await alice.submit("ledger_sleep", { ms: 60_000, note: "killed on the way" });
  await alice.until(job.request_id, "running");
  await stand.order("kill-in-flight killed on the way");
  await alice.until(job.request_id, "unknown", 60_000);
  open = await openAs("admin");
  await open.at("wrong/unknown");
  const row = open.page.locator("tbody tr", { hasText: job.support_code.slice(-12) });
  await row.getByRole("button", { name: "Resolve" }).click();
  const confirm = open.dialog.getByRole("button", { name: "Record it" });
  await open.dialog.getByRole("textbox").fill("not in the other side's books");
  assert.ok(await confirm.isDisabled(), "not without an answer");
  await open.dialog.getByLabel("It did not take effect").check();
  await confirm.click();
  await open.dialog.waitFor({ state: "detached" });
  assert.deepEqual((({ by, happened }) => ({ by, happened }))((await alice.job(job.request_id)).resolution!), { by: "operator", happened: false });
  await open.at(`job/${job.support_code}`);
  await open.page.getByText("It did not take effect").waitFor();
  await open.page.getByText(/Checked in this browser: \d+ records, unbroken/).waitFor();
});

test("dead letters are counted", async () => {
  open = await openAs("viewer");
  await open.at("wrong/dead-letters");
  await open.page.getByText("No dead letters").waitFor();
  await open.close();
  await stand.order("dead");
  open = await openAs("viewer");
  await open.at("wrong/dead-letters");
  await open.page.getByText("1 in the queue").waitFor();
});

test("failed and open jobs are listed by state, and a support code opens its job", async () => {
  const failed = await alice.submit("ledger_fail", { kind: "throw" });
  await alice.until(failed.request_id, "failed");
  const running = await alice.submit("ledger_sleep", { ms: 4000, note: "a while" });
  open = await openAs("viewer");
  await open.at("running");
  await open.page.locator("tbody tr", { hasText: running.support_code.slice(-12) }).waitFor();
  await open.at("wrong/failed");
  await open.page.locator("tbody tr", { hasText: failed.support_code.slice(-12) }).getByText("tool_failed").waitFor();
  await open.page.keyboard.press("/");
  await open.page.keyboard.insertText(failed.support_code);
  await open.page.keyboard.press("Enter");
  await open.page.getByRole("heading", { name: "Job: ledger_fail" }).waitFor();
  await open.page.keyboard.press("/");
  await open.page.keyboard.insertText(alice.id);
  await open.page.keyboard.press("Enter");
  await open.page.getByRole("heading", { name: "User" }).waitFor();
  await open.page.locator("tbody tr", { hasText: failed.support_code.slice(-12) }).waitFor();
});

test("a user's refusals are a chain that holds, and a user's sessions can be revoked with a reason", async () => {
  const carol = await stand.user("carol");
  await assert.rejects(carol.submit("ledger_delete", {}), /tool_not_opened|policy_denied/);
  open = await openAs("admin");
  await open.at(`user/${carol.id}`);
  await open.page.getByText("Checked in this browser: 1 record, unbroken").waitFor();
  await open.page.locator(".timeline").getByText("ledger_delete", { exact: true }).waitFor();
  await open.page.getByRole("button", { name: "Revoke sessions" }).click();
  await open.dialog.getByRole("textbox").fill("lost phone");
  await open.dialog.getByRole("button", { name: "Revoke every session" }).click();
  await open.dialog.waitFor({ state: "detached" });
  await assert.rejects(carol.submit("ledger_append", { note: "x" }), /401/);
});
