// Chooses the model of the gateway's agents, and the configuration and environment of OpenClaw for it.
//
// `none`         no model: only tools can be called
// `stand-in`     scripts/openclaw/stand-in-model.mjs, started here
// `environment`  the operator's own, else the stand-in:
//   OPENCLAW_MODEL=provider/model   a provider that is bundled with OpenClaw, with that provider's usual variables
//   OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL   a server for OpenAI's chat completions; at least one of the first two
//
// A key is never written down: the configuration names the variable that holds it, and the gateway's process gets that.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

const OPENAI = "https://api.openai.com/v1";
const OPENAI_MODEL = "gpt-5.5";
const LIMITS = { contextWindow: 128_000, maxTokens: 4096 };
const COST = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
// The tool guard covers tools that OpenClaw itself runs. Other harnesses have tools of their own.
const RUNTIME = { agentRuntime: { id: "openclaw" } };

/** The model cannot be used; the message is one sentence. */
export class ModelError extends Error {}

/** A provider that speaks OpenAI's chat completions. */
function speaking(provider, id, baseUrl, apiKey, input = ["text"]) {
  const model = { id, name: id, reasoning: false, input, cost: COST, ...LIMITS };
  const entry = { baseUrl, apiKey, api: "openai-completions", models: [model] };
  return {
    primary: `${provider}/${id}`, models: { mode: "replace", providers: { [provider]: entry } },
    runtime: {}, plugins: [], variables: {},
  };
}

/** A model at an address that the caller provides. `sees` declares image input to OpenClaw. */
export const at = (url, { sees = false } = {}) => ({
  name: `the model at ${url}`, ...speaking("local", "model", url, "none", sees ? ["text", "image"] : ["text"]),
});

async function standIn(node, scripts) {
  const args = [path.join(scripts, "stand-in-model.mjs")];
  // It ends when its standard input closes.
  const child = spawn(node, args, { stdio: ["pipe", "pipe", "inherit"], env: {} });
  const [line] = await Promise.race([
    new Promise((resolve) => readline.createInterface({ input: child.stdout }).once("line", (said) => resolve([said]))),
    new Promise((resolve) => child.once("exit", () => resolve([]))),
  ]);
  if (!line) throw new ModelError("the stand-in for a model does not start");
  child.unref();
  const url = `http://127.0.0.1:${line.split(" ")[1]}`;
  return { ...at(`${url}/v1`), name: "a scripted stand-in", standIn: url };
}

function httpUrl(name, text) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol)) throw new ModelError(`${name} must be an http or https URL`);
  if (url.username || url.password) throw new ModelError(`${name} must not carry a name or password; use OPENAI_API_KEY`);
  return text.replace(/\/+$/, "");
}

function openAi({ OPENAI_API_KEY: key, OPENAI_BASE_URL: base, OPENAI_MODEL: id = OPENAI_MODEL }) {
  const url = base ? httpUrl("OPENAI_BASE_URL", base) : OPENAI;
  const apiKey = key ? { source: "env", provider: "default", id: "OPENAI_API_KEY" } : "none";
  const model = speaking("operator", id, url, apiKey);
  return { ...model, name: `${id} at ${new URL(url).host}`, variables: key ? { OPENAI_API_KEY: key } : {} };
}

/** The bundled plugin of a provider, and the environment variables of its keys. */
function providerOf(provider, openclaw) {
  const extensions = path.join(openclaw, "dist/extensions");
  for (const folder of fs.readdirSync(extensions)) {
    const file = path.join(extensions, folder, "openclaw.plugin.json");
    if (!fs.existsSync(file)) continue;
    const { id, providers = [], setup } = JSON.parse(fs.readFileSync(file, "utf8"));
    const entry = setup?.providers?.find((known) => known.id === provider);
    if (providers.includes(provider)) return { plugin: id, names: entry?.envVars ?? [] };
  }
  return undefined;
}

function bundled(reference, env, openclaw) {
  const [provider, ...id] = reference.split("/");
  if (!provider || id.join("/") === "") throw new ModelError("OPENCLAW_MODEL must be PROVIDER/MODEL, as OpenClaw names it");
  const known = providerOf(provider, openclaw);
  if (!known) {
    throw new ModelError(
      `OPENCLAW_MODEL names the provider "${provider}", which is not bundled with this OpenClaw; ` +
        "if it speaks OpenAI's chat completions, use OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL",
    );
  }
  const variables = Object.fromEntries(known.names.filter((name) => env[name]).map((name) => [name, env[name]]));
  if (known.names.length > 0 && Object.keys(variables).length === 0) {
    throw new ModelError(`OPENCLAW_MODEL names ${reference}, which needs its key in ${known.names.join(" or ")}`);
  }
  const runtime = { models: { [reference]: RUNTIME, [`${provider}/*`]: RUNTIME } };
  return { name: reference, primary: reference, models: {}, runtime, plugins: [known.plugin], variables };
}

/** The model of the gateway: `name` for people, `standIn` its address when it is none. */
export async function chosenModel(choice, { env, node, scripts, openclaw }) {
  if (choice === "none") return undefined;
  if (choice === "stand-in") return standIn(node, scripts);
  if (choice !== "environment") throw new ModelError("--model must be none, stand-in or environment");
  if (env.OPENCLAW_MODEL) return bundled(env.OPENCLAW_MODEL, env, openclaw);
  if (env.OPENAI_API_KEY || env.OPENAI_BASE_URL) return openAi(env);
  return standIn(node, scripts);
}
