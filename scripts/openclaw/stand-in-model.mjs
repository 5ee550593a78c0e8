// A stand-in for a language model: OpenAI's chat-completions protocol on loopback, obeying the newest message of the user.
//
//   node stand-in-model.mjs [--port 0]
//
//   [[tool:NAME {json}]]   calls that tool; several are called one after another, each in an answer of its own;
//                          a name may be a JSON string
//   [[say:TEXT]]           then answers TEXT; without it, what the last tool said, or else what the user said
//   [[parallel]] [[loop]]  all tools in one answer; the first one for ever
//   [[sleep:S]] [[pause:S]] [[stream:S]]   S seconds before the first answer, before the last, and while it is sent
//   [[refuse]] [[empty]] [[long:KIB]]      an answer that was filtered, has no text, has that many KiB
//   [[half]]               an answer with half of a surrogate pair in it
//   [[status:CODE]]        answers that HTTP status
//   [[remember]]           answers how many messages the user sent before this one, and the first of them
//   [[obey]]               also calls the tools that results name: a model that follows injected instructions
//   [[then]]               the rest is for the next round, when the service returns the results of
//                          the proposals; a round without such a part repeats those results
//
// With STAND_IN_KEY in the environment, a request without that key gets 401.
// Prints `ready <port>` and lives until its standard input closes. `GET /requests` lists what it was asked.
import http from "node:http";
import { parseArgs } from "node:util";
import { agentOf, planOf, reply, turnOf } from "./stand-in-plan.mjs";

const { values: options } = parseArgs({ options: { port: { type: "string", default: "0" } } });
const KEY = process.env.STAND_IN_KEY;
const CHUNKS = 10;
const KEPT_REQUESTS = 1000;
const requests = [];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function sendJson(res, status, body) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify(body));
}

async function send(res, { model, stream }, { message, end }, seconds) {
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const base = { id: "chatcmpl-stand-in", created: Math.floor(Date.now() / 1000), model };
  if (!stream) {
    const choices = [{ index: 0, message, finish_reason: end }];
    return sendJson(res, 200, { ...base, object: "chat.completion", choices, usage });
  }
  const part = { ...base, object: "chat.completion.chunk" };
  const chunk = (choices, more) => `data: ${JSON.stringify({ ...part, choices, ...more })}\n\n`;
  const delta = (change, reason = null) => res.write(chunk([{ index: 0, delta: change, finish_reason: reason }]));
  res.writeHead(200, { "content-type": "text/event-stream" });
  const letters = seconds > 0 ? [...(message.content ?? "")] : [];
  const size = Math.ceil(letters.length / CHUNKS);
  delta(letters.length > 0 ? { ...message, content: "" } : message);
  for (let at = 0; at < letters.length; at += size) {
    delta({ content: letters.slice(at, at + size).join("") });
    await pause((seconds * 1000) / CHUNKS);
  }
  delta({}, end);
  res.write(chunk([], { usage }));
  return res.end("data: [DONE]\n\n");
}

/** How many images came with a conversation. */
const imagesIn = (messages) =>
  messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter(({ type }) => type === "image_url")
    .length;

async function complete(req, res) {
  let body = "";
  for await (const chunk of req.setEncoding("utf8")) body += chunk;
  const request = JSON.parse(body);
  const turn = turnOf(request.messages ?? []);
  const plan = planOf(turn);
  const [agent, offered] = [agentOf(request.messages ?? []), request.tools ?? []];
  const images = imagesIn(request.messages ?? []);
  requests.push({ ...turn, agent, images, model: request.model, tools: offered.map((tool) => tool.function.name) });
  requests.splice(0, requests.length - KEPT_REQUESTS);
  if (turn.results.length === 0) await pause(plan.number("sleep") * 1000);
  const status = plan.number("status") || 200;
  if (status !== 200) {
    return sendJson(res, status, { error: { message: `the stand-in answers ${status}`, type: "stand_in" } });
  }
  const answer = reply(turn, plan);
  if (answer.last) await pause(plan.number("pause") * 1000);
  return send(res, request, answer, answer.last ? plan.number("stream") : 0);
}

const server = http.createServer((req, res) => {
  const fail = ({ message }) => sendJson(res, 400, { error: { message } });
  if (KEY && req.method === "POST" && req.headers.authorization !== `Bearer ${KEY}`) {
    return sendJson(res, 401, { error: { message: "the stand-in wants its key", type: "stand_in" } });
  }
  if (req.method === "POST") return complete(req, res).catch(fail);
  if (req.url === "/requests") return sendJson(res, 200, requests);
  return sendJson(res, 200, { object: "list", data: [{ id: "model", object: "model" }] });
});
server.listen(Number(options.port), "127.0.0.1", () => console.log(`ready ${server.address().port}`));
process.stdin.on("close", () => process.exit(0)).resume();
