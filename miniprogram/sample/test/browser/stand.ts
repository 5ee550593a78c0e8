// The real service with the mini gateway, and Chromium with the Mini Program in it.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import chromium, { inflate, setupLambdaEnvironment } from "@sparticuz/chromium";
import { chromium as launcher, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { compile } from "./compile.mjs";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const FONT = fileURLToPath(new URL("../../node_modules/@fontsource-variable/noto-sans-sc/", import.meta.url));
const TOKEN = "token-of-the-small-gateway";
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export interface Stand {
  url: string;
  html: string;
  browser: Browser;
  setMode(mode: string): void;
  ledger(): string;
  stop(): Promise<void>;
}

function program(children: ChildProcess[], file: string, args: string[], ready: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] });
    children.unshift(child);
    let said = "";
    const read = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
      const match = ready.exec(said);
      if (match) resolve(match[1]!);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}:\n${said}`)));
    child.once("error", reject);
  });
}

async function launch(): Promise<Browser> {
  const executablePath = await chromium.executablePath();
  if (execFileSync("ldd", [executablePath], { encoding: "utf8" }).includes("not found")) {
    // The libraries that a bare machine lacks come with the package.
    const root = dirname(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")));
    await inflate(join(root, "bin", "al2023.tar.br"));
    setupLambdaEnvironment(join(tmpdir(), "al2023", "lib"));
  }
  return launcher.launch({ executablePath, args: FLAGS });
}

export async function stand(): Promise<Stand> {
  const directory = mkdtempSync(join(tmpdir(), "sample-stand-"));
  mkdirSync(join(directory, "data"), { recursive: true });
  const local = process.env["LOCAL"] ?? join(ROOT, "target/debug/local");
  const children: ChildProcess[] = [];
  const ledger = join(directory, "ledger.jsonl");
  writeFileSync(ledger, "");
  writeFileSync(join(directory, "token"), TOKEN);
  const gateway = await program(children, process.execPath, [
    "openclaw-plugin/test/mini-gateway.mjs", "--token", TOKEN, "--db", join(directory, "journal.db"), "--ledger", ledger,
    "--guard", "ledger_append,ledger_append_once,ledger_delete,ledger_fail,ledger_pay,ledger_sleep", "--reads", "ledger_read",
  ], /ready (\d+)/);
  const data = join(directory, "data");
  const url = await program(children, local, [
    "run", "--dev", "--port", "0", "--data", data, "--workers", "4", "--sweep-every", "2",
    "--gateway-url", `http://127.0.0.1:${gateway}`, "--gateway-token-file", join(directory, "token"),
  ], /Ready on (http:\S+?),/);
  const setMode = (mode: string): void => {
    execFileSync(local, ["mode", "set", mode, "--data", data, "--reason", "the browser tests"], { cwd: ROOT });
  };
  setMode("full");
  const browser = await launch();
  return {
    url, browser, setMode,
    html: await compile(),
    ledger: () => readFileSync(ledger, "utf8"),
    stop: async () => {
      await browser.close();
      for (const child of children) {
        if (child.exitCode !== null) continue;
        const exited = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        await exited;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Sent {
  url: string;
  method: string;
  header: Record<string, string>;
  data?: string;
}
type Answer = { status: number; header: Record<string, string>; body: string } | { errMsg: string; errno?: number };

/** What a test makes of a request: an answer in the service's place, or nothing. */
export type Between = (request: Sent & { path: string }) => Answer | undefined;

export interface PhoneOptions {
  user?: string;
  language?: "zh_CN" | "en";
  dark?: boolean;
  fontSizeSetting?: number;
  start?: string;
}

// The browser's note of a request that a test failed, and notes of glass-easel: attributes of built-in tags that the stand-ins do not
// have, `wx:key="index"`, and properties that TDesign's components and a card that has no job yet leave undefined.
const EXPECTED = /^Failed to load resource|is not a valid property$|^Some keys are not unique|Used default value instead\.$|^The for-list data is neither/;

/** One phone. Whatever the browser complains about is kept in `complaints`. */
export class Phone {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly sent: string[] = [];
  between: Between = () => undefined;
  /** What the scripted model is told besides the words of the user: commands in brackets, which no screen shows. */
  readonly model = new Map<string, string>();
  private constructor(page: Page) {
    this.page = page;
  }

  static async open(stand: Stand, options: PhoneOptions = {}): Promise<Phone> {
    const { user = "alice", language = "zh_CN", dark = false, fontSizeSetting, start } = options;
    const look: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: dark ? "dark" : "light" };
    const context = await stand.browser.newContext(look);
    const page = await context.newPage();
    const phone = new Phone(page);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !EXPECTED.test(message.text())) phone.complaints.push(message.text());
    });
    page.on("pageerror", (error) => phone.complaints.push(error.stack ?? error.message));
    await page.route("**/*", (route) => {
      const { hostname, pathname } = new URL(route.request().url());
      if (hostname !== "sample.test") return phone.complaints.push(`fetched ${route.request().url()}`), route.abort();
      if (pathname.startsWith("/font/")) return route.fulfill({ path: join(FONT, pathname.slice(6)) });
      return pathname === "/" ? route.fulfill({ contentType: "text/html", body: stand.html }) : route.fulfill({ status: 204 });
    });
    await page.exposeFunction("sendRequest", (request: Sent) => phone.send(stand, request, user));
    await page.addInitScript((given) => Object.assign(globalThis, { phone: given }), { language, fontSizeSetting, start });
    page.setDefaultTimeout(20_000);
    await page.goto("http://sample.test/");
    await page.locator(".screen").waitFor();
    return phone;
  }

  private async send(stand: Stand, request: Sent, user: string): Promise<Answer> {
    const path = request.url.replace(/^https?:\/\/[^/]+/, "");
    this.sent.push(`${request.method} ${path}`);
    const instead = this.between({ ...request, path });
    if (instead) return instead;
    try {
      let body = request.data?.replaceAll("dev-alice", `dev-${user}`);
      for (const [said, told] of this.model) body = body?.replace(JSON.stringify(said), JSON.stringify(`${said} ${told}`));
      const answer = await fetch(stand.url + path, { method: request.method, headers: request.header, ...(body && { body }) });
      return { status: answer.status, header: Object.fromEntries([...(answer.headers as unknown as Iterable<[string, string]>)]), body: await answer.text() };
    } catch (error) {
      return { errMsg: `request:fail ${String(error)}`, errno: 600001 };
    }
  }

  /** A failure says what was on the screen, and what was sent. */
  private told = async (error: unknown): Promise<never> => {
    const screen = await this.page.locator(".screen").innerText();
    throw new Error(`${String(error)}\n-- the screen:\n${screen}\n-- sent: ${this.sent.join(", ")}\n-- ${this.complaints.join("\n")}`);
  };

  /** A touch, as a finger makes it. */
  async tap(selector: string): Promise<void> {
    const found = this.page.locator(selector).first();
    // A touch while the page still scrolls is a touch that scrolls.
    await found.scrollIntoViewIfNeeded().then(() => this.page.waitForTimeout(50)).then(() => found.tap()).catch(this.told);
  }
  /** Two touches of the same place, whatever is there at the second. */
  async doubleTap(selector: string): Promise<void> {
    const found = this.page.locator(selector).first();
    await found.scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await found.boundingBox())!;
    for (const _ of [1, 2]) await this.page.touchscreen.tap(x + width / 2, y + height / 2);
  }
  async enter(selector: string, text: string): Promise<void> {
    await this.page.locator(selector).first().fill(text);
  }
  async seen(selector: string, text?: string | RegExp): Promise<void> {
    const found = this.page.locator(selector);
    await (text === undefined ? found : found.filter({ hasText: text })).first().waitFor().catch(this.told);
  }
  text(selector: string): Promise<string> {
    return this.page.locator(selector).first().innerText();
  }
  /** A picture for the docs, when `SHOTS` names a folder. */
  async shot(name: string): Promise<void> {
    const folder = process.env["SHOTS"];
    if (!folder) return;
    await this.page.evaluate(() => document.fonts.ready.then(() => new Promise((resolve) => setTimeout(resolve, 300))));
    await this.page.screenshot({ path: join(folder, `${name}.png`), scale: "css" });
  }
  async close(): Promise<void> {
    await this.page.context().close();
  }
}
