import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { Console } from "./support/browser.ts";
import { alice, openAs, openTab, stand } from "./support/fixture.ts";

const EVIL = "<img src=x onerror=\"window.hit=1\"><script>window.hit=2</script>";

let open: Console;
let elsewhere: Server;
let elsewhereUrl: string;
let page = "";

before(async () => {
  elsewhere = createServer((_, answer) => { answer.writeHead(200, { "content-type": "text/html" }); answer.end(page); });
  await new Promise<void>((resolve) => { elsewhere.listen(0, "127.0.0.1", resolve); });
  elsewhereUrl = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
});
after(async () => {
  elsewhere?.close();
});

async function isText(console: Console, text: string): Promise<void> {
  await console.page.getByText(text).first().waitFor();
  const found = await console.page.evaluate(() => ({
    hit: (globalThis as { hit?: number }).hit, images: document.querySelectorAll("#app img:not([alt=''])").length, scripts: document.querySelectorAll("#app script").length,
  }));
  assert.deepEqual(found, { hit: undefined, images: 0, scripts: 0 });
}

test("markup in arguments is text, in the list, in the confirmation, and on the job's page", async () => {
  const job = await alice.asksToPay(2000, EVIL);
  open = await openAs("approver");
  await isText(open, EVIL);
  await open.card(job.support_code).getByRole("button", { name: "Reject" }).click();
  assert.ok((await open.dialog.innerText()).includes(EVIL));
  // A note is text as well, wherever it comes back.
  await open.dialog.getByRole("textbox").fill(`note ${EVIL}`);
  await open.dialog.getByRole("button", { name: "do not run it" }).click();
  await alice.until(job.request_id, "refused");
  await open.at(`job/${job.support_code}`);
  await isText(open, EVIL);
  await open.at("audit");
  await isText(open, `note ${EVIL}`);
});

test("control and bidirectional characters are made visible before an approver sees them", async () => {
  const job = await alice.asksToPay(2100, "to \u202Ecilbup eht\u202C and\u200B more");
  open = await openAs("approver");
  const card = open.card(job.support_code);
  await card.waitFor();
  const text = await card.innerText();
  assert.ok(!/[\u202a-\u202e\u200b]/.test(text));
  assert.ok(text.includes("\\u202e"));
});

test("markup in names that the service makes is text, too: tool, title, status, code, note", async () => {
  const job = await alice.submit("ledger_append", { note: "x" });
  await alice.until(job.request_id, "succeeded");
  open = await openAs("viewer");
  const dirty = (value: unknown): unknown => {
    if (typeof value === "string") return /^[\dT:.Z-]+$/.test(value) || value.length === 43 ? value : `${value}${EVIL}`;
    if (Array.isArray(value)) return value.map(dirty);
    if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === "job" ? one : dirty(one)]));
    return value;
  };
  await open.page.route("**/v1/operator/**", async (route) => {
    const answer = await route.fetch();
    if (route.request().url().endsWith("/me")) await route.fulfill({ response: answer });
    else await route.fulfill({ response: answer, json: dirty(await answer.json()) });
  });
  for (const place of ["waiting", "running", "wrong/failed", "wrong/refused", "wrong/dead-letters", "switches", "charts", "audit", `job/${job.support_code}`, `user/${alice.id}`, "account"]) {
    await open.at(place);
    await open.page.waitForTimeout(300);
    const found: object = await open.page.evaluate(() => ({ hit: (globalThis as { hit?: number }).hit, bad: document.querySelectorAll("#app img:not([alt='']), #app script").length }));
    assert.deepEqual(found, { hit: undefined, bad: 0 }, place);
  }
  await open.at(`job/${job.support_code}`);
  await isText(open, EVIL);
  // And in the error of the service.
  await open.page.route("**/v1/operator/**", (route) =>
    route.fulfill({ status: 409, contentType: "application/problem+json", json: { code: `c${EVIL}`, title: `t${EVIL}`, detail: `d${EVIL}` } }));
  await open.at(`user/${alice.id}`);
  await isText(open, `t${EVIL}`);
});

test("the token is in no storage, no cookie and no address, and a reload forgets it", async () => {
  open = await openAs("admin");
  for (const place of ["waiting", "switches", "audit", "account"]) await open.at(place);
  const kept = await open.page.evaluate(async () => ({
    local: JSON.stringify(localStorage), session: JSON.stringify(sessionStorage), cookie: document.cookie, address: location.href,
    databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
    workers: (await navigator.serviceWorker.getRegistrations()).length,
  }));
  const [, payload = ""] = stand.tokens.admin.split(".");
  assert.ok(!JSON.stringify(kept).includes(payload));
  assert.deepEqual([kept.session, kept.cookie, kept.databases, kept.caches, kept.workers], ["{}", "", 0, 0, 0]);
  assert.deepEqual(Object.keys(JSON.parse(kept.local) as object).sort(), ["language", "shortcuts", "theme"]);
  assert.ok(open.requests.every((url) => url.startsWith(stand.url) && !url.includes(payload)), "only this origin is asked, and never with the token in the address");
  await open.page.reload();
  await open.page.locator("input[name=token]").waitFor();
});

test("a token that ends signs out, and says why", async () => {
  open = await openAs("viewer");
  await open.page.route("**/v1/operator/**", (route) =>
    route.fulfill({ status: 401, contentType: "application/problem+json", json: { code: "no_operator", title: "x", status: 401 } }));
  await open.page.locator("input[name=token]").waitFor();
  await open.page.getByText("not, or no longer, an operator's").waitFor();
});

test("a wrong token is refused with a sentence", async () => {
  open = await openTab();
  await open.page.goto(`${stand.url}/console/`);
  await open.page.locator("input[name=token]").fill("nonsense");
  await open.page.locator("button[type=submit]").click();
  await open.page.getByText("no_operator").waitFor();
  assert.equal(await open.page.locator(".frame").count(), 0);
});

test("another site can make a signed-in operator's browser do nothing: not by a form, not by a request", async () => {
  const job = await alice.asksToPay(2200, "wanted by another site");
  const digest = (await alice.job(job.request_id)).approval?.digest ?? "";
  open = await openAs("admin");
  const attacker = await open.page.context().newPage();
  const target = `${stand.url}/v1/operator/jobs/${job.support_code}/approval`;
  const fields = JSON.stringify({ decision: "approve", digest, pad: "" }).replace(/""}$/, "");
  page = `<form method=post enctype=text/plain action="${target}"><input name='${fields}"' value='"}'></form>`;
  await attacker.goto(elsewhereUrl);
  const [answer] = await Promise.all([attacker.waitForResponse(target), attacker.evaluate(() => document.querySelector("form")?.submit())]);
  await attacker.waitForURL(target);
  assert.ok([401, 415].includes(answer.status()), String(answer.status()));
  await attacker.goto(elsewhereUrl);
  const fetched = await attacker.evaluate(async ([url, body]) => {
    const outcomes: string[] = [];
    const simple = { method: "POST", body: body ?? "", credentials: "include" } as const;
    for (const init of [simple, { ...simple, mode: "no-cors" as const }, { ...simple, headers: { "content-type": "application/json", authorization: "Bearer x" } }]) {
      outcomes.push(await fetch(url ?? "", init).then((got) => got.type, () => "refused"));
    }
    return outcomes;
  }, [target, JSON.stringify({ decision: "approve", digest })]);
  // The second one is sent, without a token and with an unreadable response; the browser blocks the others, or their responses.
  assert.deepEqual(fetched, ["refused", "opaque", "refused"]);
  assert.equal((await alice.job(job.request_id)).status, "awaiting_approval");
  const preflight = await fetch(target, { method: "OPTIONS", headers: { origin: elsewhereUrl, "access-control-request-method": "POST" } });
  assert.equal(preflight.headers.get("access-control-allow-origin"), null);
  await attacker.close();
});

test("the page cannot be framed", async () => {
  open = await openTab();
  page = `<iframe src="${stand.url}/console/"></iframe>`;
  await open.page.goto(elsewhereUrl);
  await open.page.waitForTimeout(800);
  const [, framed] = open.page.frames();
  assert.ok(!framed || !framed.url().startsWith(stand.url), framed?.url());
  // The browser logs the violation, which this test expects.
  assert.ok(open.complaints.some((text) => /frame-ancestors|X-Frame-Options|frame/i.test(text)), open.complaints.join());
  open.complaints.length = 0;
});

test("every answer under /console/ carries the strict headers", async () => {
  for (const path of ["/console/", "/console/config.json", "/console/favicon.svg", "/console/nothing"]) {
    const { headers } = await fetch(stand.url + path);
    assert.equal(headers.get("content-security-policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", path);
    assert.deepEqual(["x-content-type-options", "referrer-policy", "x-frame-options", "set-cookie", "access-control-allow-origin"].map((name) => headers.get(name)),
      ["nosniff", "no-referrer", "DENY", null, null], path);
  }
});
