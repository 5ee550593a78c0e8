// A real service: `local run --dev` with the mini gateway, or one that runs already.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { fileURLToPath } from "node:url";
import type { WireRequest, WireResponse } from "../test/phone.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const TOKEN = "token-of-the-small-gateway";

export interface Live {
  url: string;
  /** Tells the notes of this run from those of others in the same ledger. */
  run: string;
  send(request: WireRequest, seed: number): Promise<WireResponse>;
  effects(): Map<string, number>;
  stop(): Promise<void>;
}

/** Reaches a service that runs already; its ledger is a file here. */
export function reach(url: string, ledger: string, stop: () => Promise<void> = () => Promise.resolve()): Live {
  const agents = new Map<string, http.Agent>();
  const send = (request: WireRequest, seed: number): Promise<WireResponse> => {
    // The service limits logins by address: each phone has its own, as phones have.
    const localAddress = `127.${1 + (seed % 200)}.${1 + (Math.floor(seed / 200) % 200)}.1`;
    const agent = agents.get(localAddress) ?? new http.Agent({ keepAlive: true, localAddress });
    agents.set(localAddress, agent);
    return wire(request, agent);
  };
  const effects = (): Map<string, number> => {
    const found = new Map<string, number>();
    for (const line of readFileSync(ledger, "utf8").split("\n").filter(Boolean)) {
      const { note, op } = JSON.parse(line) as { note?: string; op?: string };
      // A slow tool writes its begin and its end.
      if (note !== undefined && op !== "sleep_start") found.set(note, (found.get(note) ?? 0) + 1);
    }
    return found;
  };
  const end = async (): Promise<void> => {
    for (const agent of agents.values()) agent.destroy();
    await stop();
  };
  return { url, run: `r${process.pid}${Date.now() % 100_000}`, send, effects, stop: end };
}

function wire({ method, url, header, data }: WireRequest, agent: http.Agent): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    // A held poll holds a driven clock as well: a deployment may hold for a second only.
    const request = http.request(url.replace("wait=20", "wait=1"), { method, headers: header, agent, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const names = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        resolve({ status: response.statusCode!, header: Object.fromEntries(names) as Record<string, string>, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", reject);
    request.end(data);
  });
}

const children: ChildProcess[] = [];
process.on("exit", () => children.forEach((child) => child.kill()));

/** Starts a program and waits for a line. */
function program(file: string, args: string[], ready: RegExp): Promise<{ found: string; child: ChildProcess }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] });
    children.push(child);
    let said = "";
    const read = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
      const match = ready.exec(said);
      if (match) resolve({ found: match[1]!, child });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}:\n${said}`)));
    child.once("error", reject);
  });
}

async function stopped({ child }: { child: ChildProcess }): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exited;
}

/** Starts the service with the mini gateway, or with the real one, on free ports; everything it keeps is in `directory`. */
export async function startService(directory: string, real = false): Promise<Live> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const local = process.env["LOCAL"] ?? `${ROOT}target/debug/local`;
  const ledger = `${directory}/ledger.jsonl`;
  const data = `${directory}/data`;
  writeFileSync(ledger, "");
  const args = ["run", "--dev", "--port", "0", "--data", data, "--workers", "8", "--sweep-every", "2"];
  const started: { child: ChildProcess }[] = [];
  if (real) args.push("--ledger", ledger);
  else {
    const gateway = await program(process.execPath, [
      "openclaw-plugin/test/mini-gateway.mjs", "--token", TOKEN, "--db", `${directory}/journal.db`, "--ledger", ledger,
    ], /ready (\d+)/);
    started.push(gateway);
    writeFileSync(`${directory}/token`, TOKEN);
    args.push("--gateway-url", `http://127.0.0.1:${gateway.found}`, "--gateway-token-file", `${directory}/token`);
  }
  const service = await program(local, args, /Ready on (http:\S+?),/);
  started.unshift(service);
  if (execFileSync(local, ["mode", "get", "--data", data], { cwd: ROOT, encoding: "utf8" }).includes("full") === false) {
    execFileSync(local, ["mode", "set", "full", "--data", data, "--reason", "the simulator writes"], { cwd: ROOT });
  }
  return reach(service.found, ledger, async () => {
    for (const program of started) await stopped(program);
  });
}
