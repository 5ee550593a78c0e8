// A stand-in for a language model: OpenAI's chat-completions protocol on loopback, obeying the last user message.
//
//   node stand-in-model.mjs [--port 0]
//
//   [[tool:NAME {json}]]   calls that tool, then repeats what the tool said
//   [[say:TEXT]]           answers TEXT; anything else is echoed
//   [[sleep:SECONDS]]      waits first
//   [[status:CODE]]        answers that HTTP status
//
// Prints `ready <port>` and lives until its standard input closes. `GET /requests` lists what it was asked.
import http from "node:http";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({ options: { port: { type: "string", default: "0" } } });
// OpenClaw appends a message of its own behind the user's, and a line about its runtime to the user's.
const INTERNAL_CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const RUNTIME_LINE = "\n\nRuntime: agent=";
const requests = [];
let calls = 0;

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

/** What the user said last, and what tools have answered since. */
function lastTurn(messages) {
  const isUser = ({ role, content }) => role === "user" && !textOf(content).startsWith(INTERNAL_CONTEXT);
  const at = messages.findLastIndex(isUser);
  const text = at < 0 ? "" : textOf(messages[at].content).split(RUNTIME_LINE)[0].trim();
  const results = messages.slice(at + 1).filter(({ role }) => role === "tool");
  return { text, results: results.map(({ content }) => textOf(content)) };
}

function reply({ text, results }) {
  const say = (content) => ({ message: { role: "assistant", content }, end: "stop" });
  if (results.length > 0) return say(`tool said: ${results.at(-1)}`);
  const tool = /\[\[tool:(\w+)\s*(\{.*?\})?\]\]/s.exec(text);
  if (!tool) return say(/\[\[say:(.*?)\]\]/s.exec(text)?.[1] ?? `echo: ${text}`);
  calls += 1;
  const call = { name: tool[1], arguments: tool[2] ?? "{}" };
  const toolCall = { index: 0, id: `call_${Date.now()}_${calls}`, type: "function", function: call };
  return { message: { role: "assistant", content: null, tool_calls: [toolCall] }, end: "tool_calls" };
}

function sendJson(res, status, body) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify(body));
}

function send(res, { model, stream }, { message, end }) {
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const base = { id: "chatcmpl-stand-in", created: Math.floor(Date.now() / 1000), model };
  if (!stream) {
    const choices = [{ index: 0, message, finish_reason: end }];
    return sendJson(res, 200, { ...base, object: "chat.completion", choices, usage });
  }
  const part = { ...base, object: "chat.completion.chunk" };
  const chunk = (choices, more) => `data: ${JSON.stringify({ ...part, choices, ...more })}\n\n`;
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write(chunk([{ index: 0, delta: message, finish_reason: null }]));
  res.write(chunk([{ index: 0, delta: {}, finish_reason: end }]));
  res.write(chunk([], { usage }));
  return res.end("data: [DONE]\n\n");
}

async function complete(req, res) {
  let body = "";
  for await (const chunk of req.setEncoding("utf8")) body += chunk;
  const request = JSON.parse(body);
  const turn = lastTurn(request.messages ?? []);
  requests.push({ ...turn, tools: (request.tools ?? []).map((tool) => tool.function.name) });
  const seconds = Number(/\[\[sleep:([\d.]+)\]\]/.exec(turn.text)?.[1] ?? 0);
  const status = Number(/\[\[status:(\d+)\]\]/.exec(turn.text)?.[1] ?? 200);
  setTimeout(() => {
    if (status === 200) send(res, request, reply(turn));
    else sendJson(res, status, { error: { message: `the stand-in answers ${status}`, type: "stand_in" } });
  }, seconds * 1000);
}

const server = http.createServer((req, res) => {
  const fail = ({ message }) => sendJson(res, 400, { error: { message } });
  if (req.method === "POST") return complete(req, res).catch(fail);
  if (req.url === "/requests") return sendJson(res, 200, requests);
  return sendJson(res, 200, { object: "list", data: [{ id: "model", object: "model" }] });
});
server.listen(Number(options.port), "127.0.0.1", () => console.log(`ready ${server.address().port}`));
process.stdin.on("close", () => process.exit(0)).resume();
