/** Headless Chromium from the package registry, and the console in it as an operator sees it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import chromium, { inflate, setupLambdaEnvironment } from "@sparticuz/chromium";
import { chromium as launcher, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from "playwright-core";
import type { Role, Stand } from "./stand.ts";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export async function launch(): Promise<Browser> {
  const executablePath = await chromium.executablePath();
  if (execFileSync("ldd", [executablePath], { encoding: "utf8" }).includes("not found")) {
    // The libraries that a bare machine lacks come with the package.
    const root = dirname(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")));
    await inflate(join(root, "bin", "al2023.tar.br"));
    setupLambdaEnvironment(join(tmpdir(), "al2023", "lib"));
  }
  return launcher.launch({ executablePath, args: FLAGS });
}

export const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true };

/** One operator's tab. Collects violations of the content security policy, errors and dialogs. */
export class Console {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly requests: string[] = [];
  readonly #stand: Stand;
  readonly #context: BrowserContext;

  private constructor(stand: Stand, context: BrowserContext, page: Page) {
    this.#stand = stand;
    this.#context = context;
    this.page = page;
    page.on("console", (message) => {
      // A refused call is shown by the page itself; the browser's own note about it is no fault.
      if (["error", "warning"].includes(message.type()) && !/^Failed to load resource/.test(message.text())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("dialog", (dialog) => { this.complaints.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
    page.on("request", (request) => this.requests.push(request.url()));
  }

  static async open(stand: Stand, browser: Browser, options: BrowserContextOptions = {}): Promise<Console> {
    const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 860 }, ...options });
    const page = await context.newPage();
    await page.addInitScript(() => {
      const seen: string[] = [];
      Object.assign(globalThis, { violations: seen });
      document.addEventListener("securitypolicyviolation", (event) => seen.push(`${event.effectiveDirective} ${event.blockedURI}`));
    });
    return new Console(stand, context, page);
  }

  /** Opens the console and signs in. */
  static async as(role: Role, stand: Stand, browser: Browser, options: BrowserContextOptions = {}): Promise<Console> {
    const console = await Console.open(stand, browser, options);
    await console.signIn(role);
    return console;
  }

  async signIn(role: Role): Promise<void> {
    await this.page.goto(`${this.#stand.url}/console/`);
    await this.page.locator("input[name=token]").fill(this.#stand.tokens[role]);
    await this.page.locator("form button[type=submit]").click();
    await this.page.locator(".frame").waitFor();
  }

  async at(place: string): Promise<void> {
    await this.page.goto(`${this.#stand.url}/console/#/${place}`);
    await this.page.locator("main h1").waitFor();
  }

  /** The card of a held text. */
  held(job: string): Locator {
    return this.page.locator(`[data-held="${job}"]`);
  }

  /** The card of a request that waits. */
  card(job: string): Locator {
    return this.page.locator(`article[data-job="${job}"]`);
  }

  get dialog(): Locator {
    return this.page.locator("dialog[open]");
  }

  /** Closes the tab, once, and fails if it has collected any error. */
  async close(): Promise<void> {
    if (this.page.isClosed()) return;
    const violations = await this.page.evaluate(() => (globalThis as unknown as { violations?: string[] }).violations ?? []);
    await this.#context.close();
    assert.deepEqual([...violations, ...this.complaints], []);
  }
}
