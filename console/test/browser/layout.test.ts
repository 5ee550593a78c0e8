import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { PHONE, type Console } from "./support/browser.ts";
import { alice, openAs } from "./support/fixture.ts";
import type { SeenJob } from "./support/stand.ts";

let job: SeenJob;
let open: Console;

before(async () => {
  job = await alice.asksToPay(3000, `A long note without a place to break: ${"0123456789".repeat(12)}`);
  const held = await alice.submit("ledger_append", { note: `review-20002 ${"0123456789".repeat(12)}` });
  await alice.until(held.request_id, "awaiting_approval");
  const failed = await alice.submit("ledger_fail", { kind: "throw" });
  await alice.until(failed.request_id, "failed");
});

const places = () => ["waiting", "running", "wrong/failed", "wrong/dead-letters", "switches", "charts", "audit", "account", `job/${job.support_code}`, `user/${alice.id}`];

test("on a phone no screen is wider than the phone, nor is the confirmation", async () => {
  open = await openAs("admin", PHONE);
  const width = () => open.page.evaluate(() => document.documentElement.scrollWidth);
  for (const place of places()) {
    await open.at(place);
    await open.page.waitForTimeout(300);
    assert.equal(await width(), 390, place);
  }
  await open.at("waiting");
  await open.card(job.support_code).getByRole("button", { name: "Approve" }).tap();
  await open.dialog.waitFor();
  assert.ok(await open.dialog.evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth && dialog.getBoundingClientRect().right <= 390));
  await open.page.keyboard.press("Escape");
});

test("the language is chosen by the browser, and changed by a button, everywhere at once", async () => {
  open = await openAs("viewer", { locale: "zh-CN" });
  await open.at("waiting");
  await open.page.getByRole("heading", { name: "等待审批" }).waitFor();
  assert.equal(await open.page.evaluate(() => document.documentElement.lang), "zh-CN");
  await open.page.getByRole("button", { name: "English" }).click();
  await open.page.getByRole("heading", { name: "Waiting for approval" }).waitFor();
  assert.equal(await open.page.evaluate(() => document.documentElement.lang), "en");
  await open.page.getByRole("button", { name: "中文" }).click();
  for (const place of places()) {
    await open.at(place);
    const text = await open.page.locator("main h1").innerText();
    assert.match(text, /[\u4e00-\u9fff]/, place);
  }
});

test("it is dark where the system is dark, light where one says so, and remembers it", async () => {
  const paper = () => open.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const luminance = async () => ((await paper()).match(/\d+/g) ?? []).slice(0, 3).reduce((sum, one) => sum + Number(one), 0) / 3;
  open = await openAs("viewer", { colorScheme: "dark" });
  assert.ok((await luminance()) < 60);
  await open.page.getByRole("button", { name: "Theme: as the system" }).click();
  assert.ok((await luminance()) > 200);
  await open.page.reload();
  await open.page.locator("form").waitFor();
  assert.ok((await luminance()) > 200, "after a reload");
});

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
interface Finding { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }

for (const colorScheme of ["light", "dark"] as const) {
  test(`no screen breaks a rule of accessibility that a program can check, in ${colorScheme}`, async () => {
    open = await openAs("admin", { colorScheme, bypassCSP: true });
    await open.page.evaluate(axe);
    const check = () => open.page.evaluate(async () => {
      const { axe: checker } = globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Finding[] }> } };
      const { violations } = await checker.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ").slice(0, 400)}`);
    });
    for (const place of places()) {
      await open.at(place);
      await open.page.waitForTimeout(400);
      assert.deepEqual(await check(), [], place);
    }
    await open.at("waiting");
    await open.card(job.support_code).getByRole("button", { name: "Approve" }).click();
    await open.dialog.waitFor();
    assert.deepEqual(await check(), [], "confirmation");
    await open.page.keyboard.press("Escape");
  });
}
