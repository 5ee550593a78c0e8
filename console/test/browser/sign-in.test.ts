/** Signing in with an organisation's own provider: here a small one, on another origin, with a key of its own. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Console, launch } from "./support/browser.ts";
import { Stand } from "./support/stand.ts";

const dir = mkdtempSync(join(tmpdir(), "issuer-"));
const keys = join(dir, "keys.json");
let issuer: string;
let provider: Server;
let privateKey: KeyObject;
let stand: Stand;
let browser: Browser;
let open: Console | undefined;
/** The requests to the provider, and its fault. */
let asked: URLSearchParams;
let trades = 0;
let refuses = false;
let nonce: string | undefined;

function idToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: "console", sub: "mei", name: "Mei Lin", roles: ["approver"], iat: now, exp: now + 600, nonce: nonce ?? asked.get("nonce") };
  const text = `${part({ alg: "ES256", kid: "k1", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

async function body(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return new URLSearchParams(text);
}

before(async () => {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  ({ privateKey } = pair);
  writeFileSync(keys, JSON.stringify({ keys: [{ ...pair.publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "ES256" }] }));
  const codes = new Set<string>();
  provider = createServer(async (request, answer) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", issuer);
    const json = (value: object, status = 200) => { answer.writeHead(status, { "content-type": "application/json", "access-control-allow-origin": "*" }); answer.end(JSON.stringify(value)); };
    if (pathname === "/.well-known/openid-configuration") {
      json({ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`, response_types_supported: ["code"],
        subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["ES256"], code_challenge_methods_supported: ["S256"] });
    } else if (pathname === "/authorize") {
      asked = searchParams;
      const code = randomUUID();
      codes.add(code);
      const back = new URL(asked.get("redirect_uri") ?? "");
      back.search = new URLSearchParams({ state: asked.get("state") ?? "", ...(refuses ? { error: "access_denied" } : { code }) }).toString();
      answer.writeHead(302, { location: back.href });
      answer.end();
    } else if (pathname === "/token") {
      trades += 1;
      const form = await body(request);
      const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
      const fits = codes.delete(form.get("code") ?? "") && challenge === asked.get("code_challenge") && form.get("redirect_uri") === asked.get("redirect_uri");
      if (fits) json({ access_token: "opaque", token_type: "Bearer", expires_in: 600, id_token: idToken() });
      else json({ error: "invalid_grant" }, 400);
    } else json({}, 404);
  });
  await new Promise<void>((resolve) => { provider.listen(0, "127.0.0.1", resolve); });
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  Object.assign(process.env, { CONSOLE_STAND_ISSUER: issuer, CONSOLE_STAND_KEYS: keys });
  [stand, browser] = await Promise.all([Stand.start(), launch()]);
});
after(async () => {
  await browser?.close();
  await stand?.stop();
  provider?.close();
  rmSync(dir, { recursive: true });
});
afterEach(async () => {
  await open?.close();
  open = undefined;
  refuses = false;
  nonce = undefined;
});

async function goThere(): Promise<Console> {
  open = await Console.open(stand, browser);
  await open.page.goto(`${stand.url}/console/`);
  await open.page.getByRole("button", { name: "Sign in with your organisation" }).click();
  return open;
}

test("an operator signs in with the organisation's provider, by code and PKCE, and no token is stored", async () => {
  const { page } = await goThere();
  await page.locator(".frame").waitFor();
  assert.equal(asked.get("code_challenge_method"), "S256");
  assert.equal(asked.get("response_type"), "code");
  assert.equal(new URL(page.url()).search, "", "the code is gone from the address");
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, document.cookie]), [0, ""]);
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes("eyJ"));
  await page.goto(`${stand.url}/console/#/account`);
  await page.getByText("Mei Lin").waitFor();
  await page.getByText("approve and reject").waitFor();
});

test("the page asks this origin and the provider, and the policy on content names both", async () => {
  const console = await goThere();
  await console.page.locator(".frame").waitFor();
  assert.ok(console.requests.every((url) => url.startsWith(stand.url) || url.startsWith(issuer)));
  const { headers } = await fetch(`${stand.url}/console/`);
  assert.match(headers.get("content-security-policy") ?? "", new RegExp(`connect-src 'self' ${issuer};`));
});

test("a refusal of the provider is shown", async () => {
  refuses = true;
  const { page } = await goThere();
  await page.getByText("Your organisation refused the sign-in").waitFor();
  await page.getByText("access_denied").waitFor();
});

test("a provider's response with an unknown state does not sign in", async () => {
  const before = trades;
  open = await Console.open(stand, browser);
  await open.page.goto(`${stand.url}/console/?code=stolen&state=guessed`);
  await open.page.getByText("This sign-in was not started in this tab").waitFor();
  // Nor does one with another state, while a sign-in is under way.
  await open.page.evaluate(() => sessionStorage.setItem("sign-in", JSON.stringify({ state: "other", nonce: "n", verifier: "v".repeat(43) })));
  await open.page.goto(`${stand.url}/console/?code=stolen&state=guessed`);
  await open.page.getByText("The sign-in failed").waitFor();
  assert.equal(await open.page.evaluate(() => sessionStorage.length), 0);
  assert.equal(trades, before, "the code was not even tried");
});

test("a token with another nonce does not sign in", async () => {
  nonce = "replayed";
  const { page } = await goThere();
  await page.getByText("The sign-in failed").waitFor();
  assert.equal(await page.locator(".frame").count(), 0);
});
