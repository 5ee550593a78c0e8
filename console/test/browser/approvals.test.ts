import assert from "node:assert/strict";
import { test } from "node:test";
import type { Console } from "./support/browser.ts";
import { alice, openAs, openTab, stand } from "./support/fixture.ts";

let open: Console;

test("an approver reads what will run, confirms it, and it runs", async () => {
  const job = await alice.asksToPay(1200, "rent for the hall");
  open = await openAs("approver");
  const card = open.card(job.support_code);
  await card.waitFor();
  assert.match(await card.innerText(), /1200/);
  assert.match(await card.innerText(), /rent for the hall/);
  await card.getByRole("button", { name: "Approve" }).click();
  // The confirmation repeats all of it.
  const asked = await open.dialog.innerText();
  for (const part of ["ledger_pay", "1200", "rent for the hall", alice.id.slice(0, 8), "expires in"]) assert.ok(asked.includes(part), part);
  assert.equal((await alice.job(job.request_id)).status, "awaiting_approval", "nothing runs before it is confirmed");
  await open.dialog.getByRole("textbox").fill("seen the invoice");
  await open.dialog.getByRole("button", { name: "run exactly this" }).click();
  await card.waitFor({ state: "detached" });
  await alice.until(job.request_id, "succeeded");

  // The job's page says who decided, and its chain is whole.
  await open.at(`job/${job.support_code}`);
  await open.page.getByText("approved by operator").waitFor();
  await open.page.getByText(/Checked in this browser: \d records, unbroken/).waitFor();
});

test("an operator reads a held text only when they may decide, and it is sent after they let it pass", async () => {
  const job = await alice.submit("ledger_append", { note: "review-20002 a line of a song" });
  await alice.until(job.request_id, "awaiting_approval");
  open = await openAs("viewer");
  await open.held(job.support_code).getByText("approver").waitFor();
  assert.equal(await open.held(job.support_code).getByRole("button", { name: "Show the text" }).count(), 0);
  assert.doesNotMatch(await open.page.locator("main").innerText(), /a line of a song/);
  await open.close();
  open = await openAs("approver");
  const card = open.held(job.support_code);
  assert.match(await card.innerText(), /to be reviewed · pornography/);
  await card.getByRole("button", { name: "Show the text" }).click();
  await card.getByText("review-20002 a line of a song").waitFor();
  await card.getByRole("button", { name: "Let it pass" }).click();
  assert.match(await open.dialog.innerText(), /a line of a song/);
  await open.dialog.getByRole("button", { name: "Let exactly this pass" }).click();
  await card.waitFor({ state: "detached" });
  await alice.until(job.request_id, "succeeded");
  await open.at(`job/${job.support_code}`);
  await open.page.getByText("Text decided").waitFor();
});

test("an approver rejects, and it never runs", async () => {
  const job = await alice.asksToPay(1300, "a yacht");
  open = await openAs("approver");
  const card = open.card(job.support_code);
  await card.getByRole("button", { name: "Reject" }).click();
  await open.dialog.getByRole("button", { name: "do not run it" }).click();
  await card.waitFor({ state: "detached" });
  const over = await alice.until(job.request_id, "refused");
  assert.equal(over.error?.code, "approval_rejected");
  await open.at("wrong/refused");
  await open.page.locator("td", { hasText: "approval_rejected" }).first().waitFor();
});

test("a request that expires while it is shown says so and can no longer be approved", async () => {
  const job = await alice.asksToPay(1400, "too late", 15);
  open = await openAs("approver");
  const card = open.card(job.support_code);
  await card.getByRole("button", { name: "Approve" }).click();
  const confirm = open.dialog.getByRole("button", { name: "run exactly this" });
  assert.ok(await confirm.isEnabled());
  await open.dialog.getByText("The approval request has expired").waitFor();
  assert.ok(await confirm.isDisabled());
  await open.dialog.getByRole("button", { name: "Cancel" }).click();
  // It stays in the list for a while, so that an operator who was reading it sees that it expired.
  await card.getByText("expired", { exact: true }).waitFor();
  assert.ok(await card.getByRole("button", { name: "Approve" }).isDisabled());
  await alice.until(job.request_id, "expired");
});

test("an approval that comes too late shows the service's error code", async () => {
  const job = await alice.asksToPay(1500, "decided elsewhere");
  open = await openAs("approver");
  const card = open.card(job.support_code);
  await card.getByRole("button", { name: "Approve" }).click();
  // Another operator decides first.
  const answer = await fetch(`${stand.url}/v1/operator/jobs/${job.support_code}/approval`, {
    method: "POST",
    headers: { authorization: `Bearer ${stand.tokens.admin}`, "content-type": "application/json" },
    body: JSON.stringify({ decision: "reject", digest: (await alice.job(job.request_id)).approval?.digest }),
  });
  assert.equal(answer.status, 200);
  await open.dialog.getByRole("button", { name: "run exactly this" }).click();
  await open.dialog.getByText("approval_decided").waitFor();
  await open.page.keyboard.press("Escape");
  await alice.until(job.request_id, "refused");
});

test("with the keyboard alone: find the request, approve it, and keep the focus in the dialog meanwhile", async () => {
  const job = await alice.asksToPay(1600, "by keyboard");
  open = await openTab();
  const { keyboard } = open.page;
  await open.page.goto(`${stand.url}/console/`);
  await open.page.locator("input[name=token]").waitFor();
  // The field for the token has the focus from the beginning.
  await keyboard.insertText(stand.tokens.approver);
  await keyboard.press("Enter");
  await open.card(job.support_code).waitFor();
  // The first Tab stop of the page skips to the content.
  await keyboard.press("Tab");
  assert.equal(await open.page.evaluate(() => document.activeElement?.className), "skip");
  await keyboard.press("Enter");
  assert.equal(await open.page.evaluate(() => document.activeElement?.id), "main");
  const here = () => open.page.evaluate(() => document.activeElement?.getAttribute("data-job"));
  for (let i = 0; i < 20 && (await here()) !== job.support_code; i += 1) await keyboard.press("j");
  assert.equal(await here(), job.support_code);
  const outline = await open.page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
  assert.equal(outline, "solid", "one sees where the focus is");
  await keyboard.press("a");
  await open.dialog.waitFor();
  for (let i = 0; i < 12; i += 1) {
    assert.ok(await open.page.evaluate(() => document.activeElement?.closest("dialog[open]") !== null), `after ${i} tabs`);
    await keyboard.press("Tab");
  }
  // Escape closes the dialog and does not reject the request.
  await keyboard.press("Escape");
  await open.dialog.waitFor({ state: "detached" });
  assert.equal(await here(), job.support_code, "the focus goes back to where it was");
  await keyboard.press("a");
  await open.dialog.waitFor();
  await keyboard.press("Enter");
  await open.card(job.support_code).waitFor({ state: "detached" });
  await alice.until(job.request_id, "succeeded");
});

test("an operator who registered the user id as their own cannot decide, and sees why", async () => {
  const bob = await stand.user("bob");
  const job = await bob.asksToPay(1700, "to myself");
  open = await openAs("admin");
  await open.at("account");
  await open.page.getByLabel("User", { exact: true }).fill(bob.id);
  await open.page.getByRole("button", { name: "Add" }).click();
  await open.page.locator("code", { hasText: bob.id }).waitFor();
  await open.at("waiting");
  const card = open.card(job.support_code);
  await card.getByText("another operator must decide").waitFor();
  assert.ok(await card.getByRole("button", { name: "Approve" }).isDisabled());
  assert.ok(await card.getByRole("button", { name: "Reject" }).isDisabled());
});

test("a viewer sees the open approval requests without the buttons that decide them", async () => {
  const job = await alice.asksToPay(1800, "only to look at");
  open = await openAs("viewer");
  const card = open.card(job.support_code);
  await card.getByText("decisions need an approver").waitFor();
  assert.equal(await card.getByRole("button", { name: /Approve|Reject/ }).count(), 0);
  await card.focus();
  await open.page.keyboard.press("a");
  assert.equal(await open.dialog.count(), 0);
});
