import { randomUUID } from "node:crypto";
import { planOf, reply, turnOf } from "../../../scripts/openclaw/stand-in-plan.mjs";
import { callInRun } from "./tools-invoke.mjs";

const RESUMED = "[System] Your previous turn was interrupted by a gateway restart while it was at work. Go on.";

const TOLD_LETTERS = 4096;

class Aborted extends Error {}

const joined = (parts) => (parts ?? []).map((part) => part.text ?? "").join("");
const textOf = (content) => (typeof content === "string" ? content : joined(content));

/**
 * Agent runs as the gateway makes them: in sessions that are kept on disk, with the hooks of the registration for agent
 * runs around every tool call, and resumed under another id after a crash. The model is the stand-in's plan.
 */
export class Agents {
  #runs = new Map();
  #listeners = [];
  #pauses = new Set();
  /** How often a model was asked, and how often a run was asked for. */
  modelCalls = 0;
  asked = 0;

  constructor({ sessions, agents, registry }) {
    Object.assign(this, { sessions, agents, registry });
  }

  /** The object that a plugin gets as `api.runtime.subagent`. */
  get subagent() {
    return {
      run: async (request) => this.#accept(request),
      waitForRun: ({ runId, timeoutMs = 30_000 }) => this.#wait(runId, timeoutMs),
      getSessionMessages: async ({ sessionKey }) => ({ messages: this.sessions.messages(sessionKey) }),
      deleteSession: async ({ sessionKey }) => {
        this.#active(sessionKey)?.abort.abort(new Aborted());
        this.sessions.delete(sessionKey);
      },
    };
  }

  /** The object that a plugin gets as `api.runtime.agent`. */
  get agent() {
    const getSessionEntry = ({ sessionKey }) => this.sessions.entry(sessionKey);
    const patchSessionEntry = async ({ sessionKey, update }) => {
      const entry = getSessionEntry({ sessionKey });
      const patch = entry && (await update(entry));
      if (patch) this.sessions.setEntry(sessionKey, { ...entry, ...patch });
    };
    return { session: { getSessionEntry, patchSessionEntry } };
  }

  get events() {
    return { onAgentEvent: (listener) => this.#listeners.push(listener) };
  }

  #active = (session) => [...this.#runs.values()].find((run) => run.session === session && !run.outcome);

  /** What `openclaw/plugin-sdk/agent-harness-runtime` offers for stopping a run; the session's key is its id here. */
  activeSession = (session) => (this.#active(session) ? session : undefined);
  abort(session) {
    const run = this.#active(session);
    run?.abort.abort(new Aborted());
    return run !== undefined;
  }

  #accept({ sessionKey, message, idempotencyKey = randomUUID(), disableTools = false }) {
    this.asked += 1;
    const refusal = refusalOf(message.trim());
    if (refusal) throw refusal;
    const session = sessionKey.toLowerCase();
    const agent = session.split(":")[1];
    if (!this.agents.has(agent)) throw new Error(`Agent "${agent}" no longer exists in configuration`);
    if (!this.#runs.has(idempotencyKey)) {
      const said = { role: "user", content: message, idempotencyKey: `${idempotencyKey}:user` };
      this.#begin({ id: idempotencyKey, session, agent, disableTools }, said);
    }
    return { runId: idempotencyKey, sessionKey: session };
  }

  #begin(run, said) {
    Object.assign(run, { abort: new AbortController() });
    this.#runs.set(run.id, run);
    const entry = this.sessions.entry(run.session);
    const isStuck = entry?.mainRestartRecovery !== undefined && entry.status !== "running";
    if (!isStuck) this.sessions.say(run.session, said);
    run.over = (isStuck ? this.#refuse(run) : this.#work(run)).then(
      (text) => (text.trim() === "" ? EMPTY : text === "NO_REPLY" ? SILENT : { status: "ok", terminalReply: told(text) }),
      (error) => ({ status: "error", error: error instanceof Aborted ? "aborted" : error.message }),
    ).then((outcome) => {
      run.outcome = { ...outcome, runId: run.id, endedAt: Date.now() };
      if (!isStuck) this.sessions.setEntry(run.session, { status: "done" });
      this.sessions.end(run.session);
      this.#tell(run, "lifecycle", { phase: outcome.status === "ok" ? "end" : "error" });
      return run.outcome;
    });
  }

  #tell({ id: runId, session: sessionKey }, stream, data) {
    for (const listener of this.#listeners) listener({ runId, sessionKey, stream, data });
  }

  async #wait(id, timeoutMs) {
    const run = this.#runs.get(id);
    let timer;
    const unseen = { runId: id, status: "timeout" };
    const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs, unseen)));
    const seen = await Promise.race([run?.over ?? late, late]);
    clearTimeout(timer);
    return seen;
  }

  /** Some time after the start, interrupted runs are resumed, or abandoned: with a message, without one, or with the mark left. */
  resume(cutOff) {
    for (const session of cutOff) {
      const { content, idempotencyKey } = this.sessions.messages(session).findLast(isUsers);
      if (content.includes("[[lost]]")) this.#giveUp(session, idempotencyKey.replace(/:user$/, ""));
      if (content.includes("[[exhausted]]")) this.sessions.say(session, NOTICE);
      if (/\[\[(stuck|exhausted)\]\]/.test(content)) this.#giveUpByHalf(session);
      if (/\[\[(lost|gone|stuck|exhausted)\]\]/.test(content)) continue;
      const run = { id: randomUUID(), session, agent: session.split(":")[1], disableTools: false };
      this.#begin(run, { role: "user", content: RESUMED });
    }
  }

  #giveUp(session, runId) {
    const customType = "run-failed-before-reply";
    this.sessions.say(session, { role: "custom", customType, content: "", details: { runId } });
    this.sessions.end(session);
  }

  /** Abandons a session and leaves its mark. */
  #giveUpByHalf(session) {
    this.sessions.setEntry(session, { ...this.sessions.entry(session), status: "failed" });
    this.sessions.end(session);
  }

  /** While a session has the mark, every run in it fails like this, before the model is asked. */
  async #refuse({ id, session }) {
    this.#giveUp(session, id);
    throw new Error(`Session "${session}" changed while starting work. Retry. | SESSION_WORK_START_CHANGED`);
  }

  async #work(run) {
    // The response to the caller comes first, as on the real gateway.
    await this.#pause(run, 0);
    this.#tell(run, "lifecycle", { phase: "start" });
    for (;;) {
      const { message, end, isLast } = await this.#think(run);
      if (!isLast && end !== "tool_calls") throw this.#lastWord(run, "Provider finish_reason: content_filter");
      this.sessions.say(run.session, message);
      if (isLast) return textOf(message.content);
      for (const call of message.content) await this.#callTool(run, call);
    }
  }

  async #think(run) {
    this.modelCalls += 1;
    this.#tell(run, "lifecycle", { phase: "model", provider: "stand-in" });
    const turn = turnOf(this.sessions.messages(run.session).map(asModelSees));
    const plan = planOf(turn);
    if (turn.results.length === 0) await this.#pause(run, plan.number("sleep"));
    if (plan.number("status") >= 400) throw this.#lastWord(run, `${plan.number("status")} from the provider`);
    const answer = reply(turn, plan);
    if (answer.last) await this.#stream(run, answer.message.content, plan);
    const { content, tool_calls: calls = [] } = answer.message;
    const parts = answer.last ? [{ type: "text", text: content }] : calls.map(asPart);
    const message = { role: "assistant", content: parts, stopReason: answer.last ? "stop" : "toolUse" };
    return { message, end: answer.end, isLast: answer.last };
  }

  /** Writes the error with which a run ends into the transcript. */
  #lastWord({ id, session }, errorMessage) {
    const idempotencyKey = `${id}:terminal-error`;
    this.sessions.say(session, { role: "assistant", content: [], stopReason: "error", errorMessage, idempotencyKey });
    return new Error("the run failed");
  }

  async #stream(run, text, plan) {
    await this.#pause(run, plan.number("pause"));
    const letters = [...text];
    const seconds = plan.number("stream");
    for (let part = 1; seconds > 0 && part < 10; part += 1) {
      this.#tell(run, "assistant", { text: letters.slice(0, (letters.length * part) / 10).join("") });
      await this.#pause(run, seconds / 10);
    }
    if (text) this.#tell(run, "assistant", { text });
  }

  async #callTool(run, { id, name, arguments: args }) {
    run.abort.signal.throwIfAborted();
    const call = { tool: name, args, run: run.id, session: run.session, call: id };
    this.#tell(run, "tool", { phase: "start", name, toolCallId: id });
    const around = call.args?.note === "around the hook" ? { text: "done", isError: false } : undefined;
    const unknown = { text: `Tool ${name} not found`, isError: true };
    const { text, isError } = around ?? (run.disableTools ? unknown : await this.#result(call));
    run.abort.signal.throwIfAborted();
    this.#tell(run, "tool", { phase: "result", name, toolCallId: id, isError });
    const content = [{ type: "text", text }];
    this.sessions.say(run.session, { role: "toolResult", toolCallId: id, toolName: name, content, isError });
  }

  async #result(call) {
    try {
      const { blocked, reason, result } = await callInRun(this.registry, call);
      if (blocked) return { text: reason, isError: true };
      return { text: textOf(result.content), isError: result.isError === true };
    } catch (error) {
      return { text: error.message, isError: true };
    }
  }

  /** Ends the pauses that are running, so that a test does not wait for them. */
  endPauses() {
    for (const end of this.#pauses) end();
  }

  #pause(run, seconds) {
    return new Promise((resolve, reject) => {
      const { signal } = run.abort;
      const end = () => (clearTimeout(timer), this.#pauses.delete(end), resolve());
      const stop = () => (clearTimeout(timer), this.#pauses.delete(end), reject(signal.reason));
      const timer = setTimeout(end, seconds * 1000);
      this.#pauses.add(end);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}

const asPart = ({ id, function: { name, arguments: args } }) =>
  ({ type: "toolCall", id, name, arguments: parsed(args) });

function parsed(args) {
  try {
    return JSON.parse(args);
  } catch {
    return {};
  }
}

const isUsers = ({ role, idempotencyKey }) => role === "user" && idempotencyKey !== undefined;
/** The real gateway reports no more of a reply; its transcript has all of it. */
const told = (text) => ({
  disposition: "visible", text: text.length > TOLD_LETTERS ? `${text.slice(0, TOLD_LETTERS - 1)}…` : text,
});
/** The gateway's message in the agent's place after its last attempt to resume a session. */
const NOTICE = {
  role: "assistant", content: [{ type: "text", text: "I couldn't continue this session." }], stopReason: "stop",
  idempotencyKey: "main-session-restart-recovery:u.1:failed-notice",
};
const SILENT = { status: "error", error: "failed", terminalReply: { disposition: "silent" } };

/** Permanent refusals: session commands, and messages that a test marks. */
function refusalOf(message) {
  const refused = (gatewayCode, text, more) => Object.assign(new Error(text), { gatewayCode, retryable: false, ...more });
  if (/^\/(new|reset)(?:\s+([\s\S]*))?$/i.test(message)) return refused("FORBIDDEN", "missing scope: operator.admin");
  const [, code] = /\[\[refused:([A-Z_]+)\]\]/.exec(message) ?? [];
  return code && refused(code, "refused, as a test has asked");
}

const EMPTY = { status: "error", error: "failed", terminalReply: { disposition: "empty" } };

const asModelSees = ({ role, content }) => ({ role: role === "toolResult" ? "tool" : role, content: textOf(content) });
