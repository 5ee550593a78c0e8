import { sendDraining, sendJson, sendText, UNAUTHORIZED } from "./http.mjs";

const DEFAULT_PATH = "/miniprogram/v1/invoke";
const ACTIONS = new Set(["hang", "reset_before", "reset_after", "status", "status_after", "content"]);

/** Faults that a test has ordered for the next requests to a path, in the order in which it ordered them. */
export class Faults {
  #ordered = [];
  #hanging = [];

  order({ action, status, hex, count = 1, path = DEFAULT_PATH, retry_after: retryAfter }) {
    if (!ACTIONS.has(action)) throw new Error(`unknown action: ${action}`);
    if (action === "content" && typeof hex !== "string") throw new Error("an action of `content` needs its bytes");
    if (action.startsWith("status") && !Number.isInteger(status)) throw new Error("an action of `status` needs a status");
    this.#ordered.push({ action, status, hex, left: count, path, retryAfter });
  }

  forget() {
    this.#ordered = [];
  }

  #take(path) {
    const at = this.#ordered.findIndex((fault) => fault.path === path);
    if (at < 0) return undefined;
    const fault = this.#ordered[at];
    fault.left -= 1;
    if (fault.left <= 0) this.#ordered.splice(at, 1);
    return fault;
  }

  /** True when the fault has answered the request, so that it must not be handled. */
  strikes(path, req, res) {
    const fault = this.#take(path);
    if (!fault) return false;
    if (fault.action === "reset_after") {
      loseAnswer(req, res);
      return false;
    }
    if (fault.action === "status_after") {
      replaceAnswer(res, fault.status);
      return false;
    }
    if (fault.action === "content") {
      replaceContent(res, Buffer.from(fault.hex, "hex"));
      return false;
    }
    if (fault.action === "reset_before") req.socket.resetAndDestroy();
    if (fault.action === "status") answer(res, fault.status, fault.retryAfter);
    if (fault.action === "hang") this.#hanging.push(res);
    return true;
  }

  get hanging() {
    return this.#hanging.length;
  }

  /** Answers every hanging request. */
  release({ status }) {
    for (const res of this.#hanging.splice(0)) answer(res, status);
  }
}

/** The handler does all of its work, and the connection breaks in the moment in which it would answer. */
function loseAnswer(req, res) {
  res.writeHead = () => res;
  res.end = () => {
    req.socket.resetAndDestroy();
    return res;
  };
}

/** The handler does all of its work, and a proxy answers in its place. */
function replaceAnswer(res, status) {
  const { writeHead, end } = res;
  res.writeHead = () => res;
  res.end = () => {
    Object.assign(res, { writeHead, end });
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    answer(res, status);
    return res;
  };
}

const CONTENT = "the content of this answer";

/** The place of what a tool returned or an agent replied, in an answer of the tool layer or of the journal. */
function holderOf(answer) {
  const { entry } = answer;
  if (entry?.kind === "turn") return entry.state === "finished" ? [entry, "reply"] : [];
  const toolAnswer = entry === undefined ? answer : entry?.result;
  return toolAnswer?.result === undefined ? [] : [toolAnswer, "result"];
}

/** The handler answers as it does, but for the content, which is these bytes. */
function replaceContent(res, bytes) {
  const { end } = res;
  res.end = (text) => {
    const answer = JSON.parse(text);
    const [holder, name] = holderOf(answer);
    if (!holder) return end.call(res, text);
    holder[name] = CONTENT;
    const [before, after] = JSON.stringify(answer).split(JSON.stringify(CONTENT));
    return end.call(res, Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]));
  };
}

/** Answers as the gateway itself would with that status. */
function answer(res, status, retryAfter) {
  if (status === 404) return sendText(res, 404, "Not Found");
  if (status === 401) return sendJson(res, 401, UNAUTHORIZED);
  if (status === 503) return sendDraining(res, retryAfter);
  const headers = status === 429 ? { "retry-after": "1" } : {};
  return sendJson(res, status, { error: { message: `ordered by a test: ${status}`, type: "ordered" } }, headers);
}
