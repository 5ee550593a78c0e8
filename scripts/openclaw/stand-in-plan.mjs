// The behaviour of the stand-in model: pure, for the model itself and for the mini gateway
// of the tests. The commands are listed in stand-in-model.mjs.
// OpenClaw appends a message of its own behind the user's, a line about its runtime to the user's and the time before it,
// and asks in the user's name to go on where a restart interrupted it, and to say something where nothing was said.
const INTERNAL_CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const RUNTIME_LINE = "\n\nRuntime: agent=";
const AGENT = /\nRuntime: agent=([a-z0-9_-]+)/;
const TIME = /^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d [^\]]*\]\s*/;
const ASKED_AGAIN =
  /^(\[System\] Your previous turn was interrupted by a gateway restart|The previous attempt did not produce a user-visible)/;
// How the service begins the message of a further round.
const FURTHER_ROUND = /^\[Results of what you proposed/;
let calls = 0;

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

/** All messages of the user, and the results of tools since the newest one. */
function conversation(messages) {
  const said = [];
  let results = [];
  for (const { role, content } of messages) {
    const text = textOf(content).split(RUNTIME_LINE)[0].trim().replace(TIME, "");
    if (role === "tool") results.push(textOf(content));
    if (role !== "user" || text.startsWith(INTERNAL_CONTEXT) || ASKED_AGAIN.test(text)) continue;
    said.push(text);
    results = [];
  }
  return { said, results };
}

/** The name of the agent, if OpenClaw's prompt has it. */
export const agentOf = (messages) =>
  messages.map(({ content }) => AGENT.exec(textOf(content))?.[1]).findLast((agent) => agent) ?? null;

/** The commands for this request: of the newest message, or of the part of it for this round. */
export function turnOf(messages) {
  const { said, results } = conversation(messages);
  const at = Math.max(0, said.findLastIndex((text) => !FURTHER_ROUND.test(text)));
  const [whole = "", given = []] = [said[at], said.slice(at + 1).slice(-1)];
  const earlier = said.slice(0, at).filter((text) => !FURTHER_ROUND.test(text));
  const text = whole.split("[[then]]")[Math.max(0, said.length - 1 - at)] ?? "";
  return { text, obey: whole.includes("[[obey]]"), given, results, earlier };
}

/** The end of the JSON object that begins at `start`; -1 when it does not end. */
function objectEnd(text, start) {
  let depth = 0;
  for (const { 0: found, index } of text.slice(start).matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (found === "{") depth += 1;
    if (found === "}" && (depth -= 1) === 0) return start + index + 1;
  }
  return -1;
}

/** A name as written, or as a JSON string if it has other characters. */
const nameOf = (text) => (text.startsWith('"') ? JSON.parse(text) : text);

/** Every `[[tool:NAME {json}]]` of a text, and the text without them. */
function toolsIn(text) {
  const found = [];
  let rest = "";
  for (let from = 0; ; ) {
    const begin = /\[\[tool:([\w.-]+|"(?:[^"\\]|\\.)*")\s*/g;
    begin.lastIndex = from;
    const match = begin.exec(text);
    if (!match) return { found, rest: rest + text.slice(from) };
    const start = begin.lastIndex;
    const json = text[start] === "{" ? objectEnd(text, start) : start;
    const close = text.indexOf("]]", Math.max(json, start));
    const end = close < 0 ? text.length : close;
    found.push({ name: nameOf(match[1]), arguments: text.slice(start, end).trim() || "{}" });
    rest += text.slice(from, match.index);
    from = end + 2;
  }
}

export function planOf(turn) {
  const { found, rest } = toolsIn(turn.text);
  const says = (name) => rest.includes(`[[${name}]]`);
  const number = (name) => Number(new RegExp(`\\[\\[${name}:([\\d.]+)\\]\\]`).exec(rest)?.[1] ?? 0);
  const isNew = (call) => !found.some((known) => known.name === call.name && known.arguments === call.arguments);
  for (const result of turn.obey ? [...turn.given, ...turn.results] : []) {
    // A result is often JSON, with what it quotes escaped.
    found.push(...toolsIn(result.replaceAll('\\"', '"')).found.filter(isNew));
  }
  return { tools: found, rest, says, number };
}

function lastText({ rest, says, number }, { text, given, results, earlier }) {
  const kib = number("long");
  // One byte, then three each, so that no round number of bytes ends with a character.
  if (kib > 0) return `a${"字".repeat(Math.floor((kib * 1024 - 1) / 3))}`;
  if (says("half")) return "half \ud83d of it";
  if (says("remember")) return `${earlier.length} before: ${earlier[0] ?? "none"}`;
  const said = /\[\[say:(.*?)\]\]/s.exec(rest)?.[1];
  const heard = [...given, ...results].at(-1);
  return said ?? (heard === undefined ? `echo: ${text}` : `tool said: ${heard}`);
}

export function reply(turn, plan) {
  const left = plan.says("loop") ? plan.tools.slice(0, 1) : plan.tools.slice(turn.results.length);
  const now = plan.says("parallel") ? left : left.slice(0, 1);
  if (plan.says("refuse")) return { message: { role: "assistant", content: "" }, end: "content_filter" };
  if (now.length === 0) {
    const content = plan.says("empty") ? "" : lastText(plan, turn);
    return { message: { role: "assistant", content }, end: "stop", last: true };
  }
  const toolCall = (call, index) => {
    calls += 1;
    return { index, id: `call_${Date.now()}_${calls}`, type: "function", function: call };
  };
  return { message: { role: "assistant", content: null, tool_calls: now.map(toolCall) }, end: "tool_calls" };
}
