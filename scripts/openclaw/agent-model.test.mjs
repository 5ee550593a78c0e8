// Which model is chosen for which environment, and that files contain the name of a key's variable, never the key.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { chosenModel } from "./agent-model.mjs";

const SCRIPTS = path.dirname(fileURLToPath(import.meta.url));
const OPENCLAW = path.join(SCRIPTS, "../../.local/openclaw/app/node_modules/openclaw");
const KEY = "sk-of-this-test";
const choose = (env) => chosenModel("environment", { env, node: process.execPath, scripts: SCRIPTS, openclaw: OPENCLAW });

/** The parts of a model that are written to the configuration file, the events and the log. */
const written = ({ variables, ...rest }) => JSON.stringify(rest);

test("an OpenAI-compatible provider is used at its URL with the key from the variable", async () => {
  const model = await choose({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: "https://models.example/v1/", OPENAI_MODEL: "m1" });
  const { baseUrl, apiKey } = model.models.providers.operator;
  assert.equal(baseUrl, "https://models.example/v1");
  assert.deepEqual(apiKey, { source: "env", provider: "default", id: "OPENAI_API_KEY" });
  assert.deepEqual([model.name, model.primary, model.standIn], ["m1 at models.example", "operator/m1", undefined]);
  assert.deepEqual(model.variables, { OPENAI_API_KEY: KEY });
  assert.ok(!written(model).includes(KEY));
});

test("a key without a URL means OpenAI, a URL without a key means no key", async () => {
  const { models } = await choose({ OPENAI_API_KEY: KEY });
  assert.equal(models.providers.operator.baseUrl, "https://api.openai.com/v1");
  const keyless = await choose({ OPENAI_BASE_URL: "http://127.0.0.1:11434/v1", OPENAI_MODEL: "m1" });
  assert.equal(keyless.models.providers.operator.apiKey, "none");
  assert.deepEqual(keyless.variables, {});
});

test("a provider of OpenClaw's own comes with its plugin, its variables alone, and OpenClaw's own harness", async () => {
  const env = { OPENCLAW_MODEL: "anthropic/m1", ANTHROPIC_API_KEY: KEY, OPENAI_API_KEY: "another", AWS_SECRET: "no" };
  const model = await choose(env);
  assert.deepEqual([model.name, model.primary, model.plugins], ["anthropic/m1", "anthropic/m1", ["anthropic"]]);
  assert.deepEqual(model.variables, { ANTHROPIC_API_KEY: KEY });
  assert.deepEqual(model.runtime.models["anthropic/m1"], { agentRuntime: { id: "openclaw" } });
  assert.ok(!written(model).includes(KEY));
});

for (const [env, why] of [
  [{ OPENCLAW_MODEL: "anthropic/m1" }, /needs its key in .*ANTHROPIC_API_KEY$/],
  [{ OPENCLAW_MODEL: "nobody/m1" }, /"nobody", which is not bundled with this OpenClaw; .*OPENAI_BASE_URL/],
  [{ OPENCLAW_MODEL: "m1" }, /must be PROVIDER\/MODEL/],
  [{ OPENAI_BASE_URL: "ftp://models.example" }, /must be an http or https URL/],
  [{ OPENAI_BASE_URL: "https://me:secret@models.example" }, /must not carry a name or password/],
]) {
  test(`${JSON.stringify(env)} is refused in one sentence`, async () => {
    await assert.rejects(choose(env), ({ message }) => why.test(message) && !message.includes("secret@"));
  });
}
