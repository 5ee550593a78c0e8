/** Chains with faults, which the service never returns: its responses are changed on the way to the page. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Console } from "./support/browser.ts";
import { alice, openAs } from "./support/fixture.ts";
import type { SeenJob } from "./support/stand.ts";

type Line = Record<string, unknown>;
interface Answer { audit: { records: Line[]; head: { length: number; digest: string } }; anchor?: { checkpoint: number; length: number; digest: string } }

let job: SeenJob;
let open: Console;

before(async () => {
  job = await alice.submit("ledger_append", { note: "to be tampered with" });
  await alice.until(job.request_id, "succeeded");
});

/** Opens the job with its answer changed. */
async function tampered(change: (answer: Answer) => void): Promise<Console> {
  open = await openAs("viewer");
  await open.page.route(`**/v1/operator/jobs/${job.support_code}`, async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as Answer;
    change(body);
    await route.fulfill({ response: answer, json: body });
  });
  await open.at(`job/${job.support_code}`);
  return open;
}

async function names(console: Console, place: number, why: RegExp): Promise<void> {
  await console.page.getByRole("alert").filter({ hasText: `This chain is broken at record ${place}` }).waitFor();
  assert.match(await console.page.locator(".verdict").innerText(), why);
  assert.equal(await console.page.getByText("unbroken").count(), 0);
}

test("an unchanged chain verifies", async () => {
  await tampered(() => undefined);
  await open.page.getByText("Checked in this browser: 3 records, unbroken").waitFor();
  assert.equal(await open.page.locator(".verdict.bad").count(), 0);
});

test("a chain that a checkpoint names says which", async () => {
  await tampered((answer) => { answer.anchor = { checkpoint: 41, ...answer.audit.head }; });
  await open.page.getByText("According to the service, checkpoint 41 covers its first 3 records.").waitFor();
});

test("a changed record is named, and what follows is not shown as proven", async () => {
  await tampered(({ audit }) => { audit.records[0]!["tool"] = "ledger_delete"; });
  await names(open!, 2, /does not match record 1/);
  await open.page.locator('.timeline li[data-place="2"]').getByText("first record that does not verify").waitFor();
  await open.page.locator('.timeline li[data-place="3"]').getByText("not verified").waitFor();
});

test("a changed last record is named", async () => {
  await tampered(({ audit }) => { audit.records.at(-1)!["outcome"] = "failed"; });
  await names(open!, 3, /does not match the chain.s head/);
});

test("reordered records are named", async () => {
  await tampered(({ audit }) => { audit.records.splice(1, 2, audit.records[2]!, audit.records[1]!); });
  await names(open!, 2, /is not the expected one/);
});

test("a truncated chain is named", async () => {
  await tampered(({ audit }) => { audit.records.pop(); });
  await names(open!, 2, /records after it are missing/);
});

test("a chain that was truncated with its head is named by the checkpoint", async () => {
  await tampered((answer) => {
    answer.anchor = { checkpoint: 1, ...answer.audit.head };
    answer.audit.head = { length: 2, digest: String(answer.audit.records.pop()?.["prev"]) };
  });
  await names(open!, 2, /checkpoint contradicts record/);
});

test("the operators' chain is checked as well", async () => {
  open = await openAs("viewer");
  await open.page.route("**/v1/operator/audit?*", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { records: Line[] };
    body.records[0]!["reason"] = "another reason";
    await route.fulfill({ response: answer, json: body });
  });
  await open.at("audit");
  await open.page.getByRole("alert").filter({ hasText: "This chain is broken at record" }).waitFor();
});

test("an error of the service is shown as such, what is old is called old, and it comes back by itself", async () => {
  open = await openAs("viewer");
  await open.at(`job/${job.support_code}`);
  await open.page.getByText("unbroken").waitFor();
  const problem = { code: "unavailable", title: "The service cannot answer now; repeat the same request.", status: 503 };
  await open.page.route("**/v1/operator/jobs/*", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", json: problem }));
  await open.page.locator("main .staleness.stale", { hasText: "unavailable" }).waitFor();
  assert.ok(await open.page.getByText("unbroken").isVisible(), "what was known stays");
  await open.page.unroute("**/v1/operator/jobs/*");
  await open.page.locator("main .staleness:not(.stale)").waitFor();
  await open.page.route("**/v1/operator/jobs/*", (route) => route.abort());
  await open.page.locator("main .staleness.stale", { hasText: "network" }).waitFor();
});
