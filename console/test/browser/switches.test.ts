import assert from "node:assert/strict";
import { test } from "node:test";
import type { Console } from "./support/browser.ts";
import { alice, openAs } from "./support/fixture.ts";

let open: Console;

/** Submits until the service has read the new mode, which it does every five seconds. */
async function untilRefused(tool: string, args: object, code: RegExp): Promise<void> {
  const end = Date.now() + 15_000;
  for (;;) {
    try {
      await alice.submit(tool, args);
    } catch (refused) {
      if (code.test(String(refused))) return;
    }
    if (Date.now() > end) throw new Error(`${tool} is not refused with ${code}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

test("a mode change needs a reason, takes effect, and is recorded in the operators' chain", async () => {
  open = await openAs("admin");
  await open.at("switches");
  const modeButton = (name: string) => open.page.locator(".mode", { hasText: name });
  await modeButton("Read only").click();
  const confirm = open.dialog.getByRole("button", { name: "Set mode" });
  assert.ok(await confirm.isDisabled(), "not without a reason");
  await open.dialog.getByRole("textbox").fill("stocktaking");
  await confirm.click();
  await open.page.locator('.mode[aria-pressed="true"]', { hasText: "Read only" }).waitFor();
  await open.page.locator(".mode-link", { hasText: "Read only" }).waitFor();
  await untilRefused("ledger_append", { note: "x" }, /mode_read_only/);

  await modeButton("Full").click();
  await open.dialog.getByRole("textbox").fill("stocktaking is over");
  await open.dialog.getByRole("button", { name: "Set mode" }).click();
  await open.page.locator('.mode[aria-pressed="true"]', { hasText: "Full" }).waitFor();
  await open.at("audit");
  await open.page.getByText(/Checked in this browser: \d+ records, unbroken/).waitFor();
  const lines = open.page.locator(".timeline li", { hasText: "Mode set" });
  await lines.getByText("stocktaking is over", { exact: true }).waitFor();
  await lines.getByText("stocktaking", { exact: true }).waitFor();
});

test("one tool is switched off, and the others go on", async () => {
  open = await openAs("admin");
  await open.at("switches");
  const row = open.page.locator('tr[data-tool="ledger_fail"]');
  await row.getByRole("button", { name: "Switch" }).click();
  await open.dialog.getByLabel("Reason").fill("it does harm");
  assert.ok(await open.dialog.getByRole("button", { name: "Set mode" }).isDisabled(), "not to the mode that it has");
  await open.dialog.getByRole("radio", { name: /^Closed/ }).check();
  await open.dialog.getByRole("button", { name: "Set mode" }).click();
  await row.locator(".badge", { hasText: "Closed" }).waitFor();
  await row.getByText("it does harm").waitFor();
  await untilRefused("ledger_fail", { kind: "throw" }, /tool_closed/);
  const job = await alice.submit("ledger_append", { note: "goes on" });
  await alice.until(job.request_id, "succeeded");
});

test("a destructive tool is unlocked for a while, and locked again", async () => {
  open = await openAs("admin");
  await open.at("switches");
  const row = open.page.locator('tr[data-tool="ledger_delete"]');
  await row.getByText("locked", { exact: true }).waitFor();
  await row.getByRole("button", { name: "Unlock" }).click();
  const minutes = open.dialog.getByRole("spinbutton");
  await open.dialog.getByLabel("Reason").fill("clean-up");
  await minutes.fill("1441");
  assert.ok(await open.dialog.getByRole("button", { name: "Unlock it" }).isDisabled());
  await minutes.fill("5");
  await open.dialog.getByRole("button", { name: "Unlock it" }).click();
  await row.getByText(/unlocked for [45]:\d\d/).waitFor();
  await row.getByRole("button", { name: "Unlock" }).click();
  await open.dialog.getByRole("spinbutton").fill("0");
  await open.dialog.getByLabel("Reason").fill("done");
  await open.dialog.getByRole("button", { name: "Lock it" }).click();
  await row.getByText("locked", { exact: true }).waitFor();
});

test("viewers and approvers see modes and switches without the controls that change them", async () => {
  for (const role of ["viewer", "approver"] as const) {
    open = await openAs(role);
    await open.at("switches");
    await open.page.locator('tr[data-tool="ledger_delete"]').waitFor();
    await open.page.getByText("changes need an admin").waitFor();
    assert.equal(await open.page.getByRole("button", { name: /Switch \u2026|Unlock \u2026/ }).count(), 0, role);
    assert.equal(await open.page.locator("button.mode").count(), 0, role);
    await open.close();
  }
});

test("the charts draw what the service has measured", async () => {
  const job = await alice.submit("ledger_append", { note: "measured" });
  await alice.until(job.request_id, "succeeded");
  open = await openAs("viewer");
  await open.at("charts");
  const charts = open.page.locator(".chart");
  await charts.first().locator("canvas").waitFor();
  assert.equal(await charts.count(), 4);
  await open.page.getByRole("button", { name: "15 min" }).click();
  await charts.first().locator("canvas").waitFor();
});
