// Converts polls of a job to events of AG-UI 1.0, and events to messages. Pure.
import type { AguiEvent, Interrupt, Message, ToolCall, UiMessage, UiPart } from "./agui-types.ts";
import type { Job, Step, Submission } from "./types.ts";

const keyOf = ({ step, round }: Step): string => `${step}.${round}`;

interface Turn {
  text: string;
  open: boolean;
  said: boolean;
}
interface Call {
  ended: boolean;
  answered: boolean;
}

/** The part of a job that was emitted as events. Kept as long as the job, over several runs. */
export class Teller {
  turns_ = new Map<string, Turn>();
  calls_ = new Map<string, Call>();
  steps_ = new Set<string>();
  done_ = new Set<string>();
  submission_: Submission | undefined;

  constructor(submission: Submission | undefined) {
    this.submission_ = submission;
  }

  /** The events that this poll adds. `replies`: the replies of ended turns, by place. */
  look_(job: Job, replies: Map<number, string>): AguiEvent[] {
    const events: AguiEvent[] = [];
    job.steps.forEach((step, place) => {
      const name = `${step.kind} ${keyOf(step)}`;
      if (this.done_.has(name) || (place > job.cursor && !step.outcome)) return;
      if (step.kind === "call") this.call_(job, step, place, events);
      else {
        if (!this.steps_.has(name)) events.push({ type: "STEP_STARTED", stepName: name });
        this.steps_.add(name);
        if (step.kind === "turn") this.turn_(job, step, replies.get(place), events);
        if (step.outcome) events.push({ type: "STEP_FINISHED", stepName: name });
        if (step.outcome) this.steps_.delete(name);
      }
      if (step.outcome) this.done_.add(name);
    });
    return events;
  }

  /** Closes what is open: a run ends with nothing open. */
  close_(job: Job | undefined): AguiEvent[] {
    const events: AguiEvent[] = [];
    const id = job?.request_id ?? "";
    for (const [key, turn] of this.turns_) this.endText_(`${id}-${key}`, turn, events);
    for (const [toolCallId, call] of this.calls_) {
      if (!call.ended) events.push({ type: "TOOL_CALL_END", toolCallId });
      call.ended = true;
    }
    for (const stepName of this.steps_) events.push({ type: "STEP_FINISHED", stepName });
    this.steps_.clear();
    return events;
  }

  turn_({ request_id: id }: Job, step: Step, reply: string | undefined, events: AguiEvent[]): void {
    const key = keyOf(step);
    for (const { at, doing, tool, state, arguments: args } of step.progress ?? []) {
      if (doing !== "tool" || !tool) continue;
      const over = state !== "running" && state !== "other";
      this.tool_(`${id}-${key}-${at}`, tool, parses(args) ? args : undefined, over ? state! : undefined, events);
    }
    const turn = this.turns_.get(key) ?? { text: "", open: false, said: false };
    this.turns_.set(key, turn);
    const messageId = `${id}-${key}`;
    const grown = reply ?? joined(turn.text, step.partial ?? "");
    const fits = grown.startsWith(turn.text);
    const delta = fits ? grown.slice(turn.text.length) : "";
    if (delta) {
      if (!turn.open) events.push({ type: "TEXT_MESSAGE_START", messageId, role: "assistant" });
      events.push({ type: "TEXT_MESSAGE_CONTENT", messageId, delta });
      Object.assign(turn, { open: true, said: true, text: grown });
    }
    if (step.outcome) this.endText_(messageId, turn, events);
    // The final reply differs from the part that was shown.
    if (reply !== undefined && !fits) {
      turn.text = reply;
      events.push({ type: "CUSTOM", name: REPLACED, value: { messageId, content: reply } });
    }
  }

  endText_(messageId: string, turn: Turn, events: AguiEvent[]): void {
    if (turn.open) events.push({ type: "TEXT_MESSAGE_END", messageId });
    turn.open = false;
  }

  call_(job: Job, step: Step, place: number, events: AguiEvent[]): void {
    const { outcome, error } = step;
    const last = place === job.steps.length - 1;
    const result = outcome === "succeeded" && last && job.result !== undefined ? JSON.stringify(job.result) : outcome;
    const content = error ? `${outcome}: ${error.code}` : result;
    this.tool_(callId(job, step), step.tool!, this.arguments_(job, place, step), content, events);
  }

  arguments_({ approval, steps }: Job, place: number, { step, round }: Step): string | undefined {
    if (approval?.place === place && approval.arguments) return JSON.stringify(approval.arguments);
    const body = this.submission_;
    if (!body || round > 0 || !steps[place]) return undefined;
    const sent = "steps" in body ? body.steps[step] : body;
    return sent && "arguments" in sent ? JSON.stringify(sent.arguments) : undefined;
  }

  /** A call of a tool, as far as it is known; `content` once it is over. */
  tool_(toolCallId: string, toolCallName: string, args: string | undefined, content: string | undefined, events: AguiEvent[]): void {
    let call = this.calls_.get(toolCallId);
    if (!call) {
      this.calls_.set(toolCallId, (call = { ended: false, answered: false }));
      events.push({ type: "TOOL_CALL_START", toolCallId, toolCallName });
      if (args) events.push({ type: "TOOL_CALL_ARGS", toolCallId, delta: args });
    }
    if (content === undefined) return;
    if (!call.ended) events.push({ type: "TOOL_CALL_END", toolCallId });
    call.ended = true;
    if (!call.answered) events.push({ type: "TOOL_CALL_RESULT", messageId: `${toolCallId}-result`, toolCallId, content, role: "tool" });
    call.answered = true;
  }
}

/** Before it leaves the transport it becomes a `MESSAGES_SNAPSHOT`. */
export const REPLACED = "reply_replaced";

export const callId = ({ request_id: id }: Job, step: Step): string => `${id}-${keyOf(step)}`;

/** The approval request of a job for its user, if any. */
export function interruptOf(job: Job): Interrupt | undefined {
  const { approval } = job;
  if (job.status !== "awaiting_approval" || !approval || approval.approver !== "user" || approval.decision) return undefined;
  const { digest, title, summary, arguments: args, proposed, derived, expires_at: expiresAt, place } = approval;
  return {
    id: `${job.request_id}~${digest}`,
    reason: "tool_call",
    message: summary,
    toolCallId: callId(job, job.steps[place]!),
    responseSchema: { type: "object", properties: { approved: { type: "boolean" } }, required: ["approved"] },
    expiresAt,
    metadata: { title, arguments: args ?? {}, proposed: proposed ?? false, derived: derived ?? false },
  };
}

/** `partial` is the end of the reply so far: what it adds to what was shown, where both fit together. */
function joined(shown: string, partial: string): string {
  if (partial.startsWith(shown)) return partial;
  for (let length = Math.min(shown.length, partial.length); length > 0; length -= 1) {
    if (shown.endsWith(partial.slice(0, length))) return shown + partial.slice(length);
  }
  return shown;
}

function parses(text: string | undefined): boolean {
  try {
    return text !== undefined && JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

/** The messages after an event. */
export function applied(messages: Message[], event: AguiEvent): Message[] {
  const change = (id: string, change: (message: Message) => Message): Message[] => messages.map((message) => (message.id === id ? change(message) : message));
  switch (event.type) {
    case "MESSAGES_SNAPSHOT":
      return event.messages;
    case "TEXT_MESSAGE_START":
      if (messages.some(({ id }) => id === event.messageId)) return messages;
      return [...messages, { id: event.messageId, role: "assistant", content: "" }];
    case "TEXT_MESSAGE_CONTENT":
      return change(event.messageId, (message) => Object.assign({}, message, { content: (message.content ?? "") + event.delta }));
    case "TOOL_CALL_START": {
      if (messages.some(({ id }) => id === event.toolCallId)) return messages;
      const call = { id: event.toolCallId, type: "function" as const, function: { name: event.toolCallName, arguments: "" } };
      return [...messages, { id: event.toolCallId, role: "assistant", toolCalls: [call] }];
    }
    case "TOOL_CALL_ARGS":
      return change(event.toolCallId, (message) => {
        const [call] = (message as unknown as { toolCalls: [ToolCall] }).toolCalls;
        const { name, arguments: args } = call.function;
        return Object.assign({}, message, { toolCalls: [Object.assign({}, call, { function: { name, arguments: args + event.delta } })] });
      });
    case "TOOL_CALL_RESULT": {
      // A provider wants it right behind its call, whatever was said meanwhile.
      let place = messages.findIndex(({ id }) => id === event.toolCallId) + 1 || messages.length;
      while (messages[place]?.role === "tool") place += 1;
      const { messageId: id, toolCallId, content } = event;
      return [...messages.slice(0, place), { id, role: "tool", toolCallId, content }, ...messages.slice(place)];
    }
    default:
      return messages;
  }
}

/** Messages for `wx:for`: those of one side that follow each other are one, with parts. */
export function uiMessages(messages: Message[], waiting: string[]): UiMessage[] {
  const shown: UiMessage[] = [];
  const parts = new Map<string, UiPart & { type: "tool" }>();
  const add = (role: UiMessage["role"], part: UiPart): void => {
    const last = shown[shown.length - 1];
    if (last?.role === role) last.parts.push(part);
    else shown.push({ id: part.id, role, parts: [part] });
  };
  for (const message of messages) {
    const { id } = message;
    if (message.role === "tool") {
      const part = parts.get(message.toolCallId);
      if (part) Object.assign(part, { status: /^(failed|refused|not_run|unknown|vetoed)/.test(message.content) ? "failed" : "completed", result: message.content });
      continue;
    }
    if (message.role !== "user" && message.role !== "assistant") continue;
    if (message.content) add(message.role, { type: "text", id, text: message.content });
    if (message.role === "assistant") {
      for (const { id: toolCallId, function: call } of message.toolCalls ?? []) {
        const part: UiPart = { type: "tool", id: toolCallId, toolCallId, name: call.name, status: waiting.includes(toolCallId) ? "pending" : "executing" };
        if (parses(call.arguments)) part.args = JSON.parse(call.arguments);
        parts.set(toolCallId, part);
        add("assistant", part);
      }
    }
  }
  return shown;
}
