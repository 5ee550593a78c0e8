// Generates src/api.gen.ts from the contract, openapi.yaml: `node scripts/types.mjs`. With `--check` it only compares.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import { parse } from "yaml";

const CONTRACT = new URL("../../../openapi.yaml", import.meta.url);
const GENERATED = new URL("../src/api.gen.ts", import.meta.url);
/** The schemas that a Mini Program uses. Those of operators and of the gateway's journal are left out. */
const ROOTS = [
  "Code", "Problem", "LogIn", "Session", "Submission", "ApprovalDecision", "Job", "JobPage", "WholeStep", "TurnResult",
  "Explanation", "AuditChain", "Conversation", "ConversationPage", "Tools", "Agents", "Erasure", "UserExport", "AcceptedNotifications",
];

export const contract = async () => parse(await readFile(CONTRACT, "utf8"));

function reachable(schemas, roots) {
  const found = new Set();
  const visit = (name) => {
    if (found.has(name)) return;
    if (!schemas[name]) throw new Error(`openapi.yaml has no schema ${name}`);
    found.add(name);
    for (const [, next] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) visit(next);
  };
  roots.forEach(visit);
  return found;
}

/** The schemas without descriptions, which change more often. A property may be called `description`. */
function shape(schema, isMap = false) {
  if (Array.isArray(schema)) return schema.map((item) => shape(item));
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).filter(([name]) => isMap || !["description", "examples", "example"].includes(name));
  return Object.fromEntries(members.map(([name, value]) => [name, shape(value, !isMap && name === "properties")]));
}

/** What src/api.gen.ts has to contain. */
export async function generate() {
  const { openapi, info, components } = await contract();
  const names = reachable(components.schemas, ROOTS);
  const schemas = Object.fromEntries(Object.entries(components.schemas).filter(([name]) => names.has(name)).map(([name, schema]) => [name, shape(schema)]));
  const options = { defaultNonNullable: false, emptyObjectsUnknown: true };
  const text = astToString(await openapiTS({ openapi, info, paths: {}, components: { schemas } }, options));
  return `// Generated from openapi.yaml by scripts/types.mjs. Do not edit.\n${text}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await generate();
  if (!process.argv.includes("--check")) await writeFile(GENERATED, text);
  else if ((await readFile(GENERATED, "utf8")) !== text) {
    console.error("src/api.gen.ts is not what openapi.yaml gives: run node scripts/types.mjs");
    process.exit(1);
  }
}
