// The part of AG-UI 1.0 that this library emits and takes. test/agui.test.ts holds it against @ag-ui/core.
import type { ClientError, Job } from "./types.ts";

export interface Interrupt {
  id: string;
  reason: string;
  message?: string;
  toolCallId?: string;
  responseSchema?: Record<string, unknown>;
  expiresAt?: string;
  metadata?: Record<string, unknown>;
}
export interface ResumeEntry {
  interruptId: string;
  /** `resolved` with the payload `{approved: boolean}`, or `cancelled`, which rejects. */
  status: "resolved" | "cancelled";
  payload?: unknown;
}
export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}
export type Message =
  | { id: string; role: "user" | "system" | "developer"; content: string }
  | { id: string; role: "assistant"; content?: string; toolCalls?: ToolCall[] }
  | { id: string; role: "tool"; content: string; toolCallId: string; error?: string };
export interface RunInput {
  threadId: string;
  runId: string;
  protocolVersion?: string;
  messages: Message[];
  tools: [];
  context: [];
  state?: unknown;
  forwardedProps?: unknown;
  resume?: ResumeEntry[];
}
export type RunOutcome = { type: "success" } | { type: "cancelled" } | { type: "interrupt"; interrupts: Interrupt[] };
export type AguiEvent =
  | { type: "RUN_STARTED"; threadId: string; runId: string; protocolVersion: string }
  | { type: "RUN_FINISHED"; threadId: string; runId: string; outcome: RunOutcome; result?: unknown }
  | { type: "RUN_ERROR"; message: string; code?: string }
  | { type: "STEP_STARTED"; stepName: string }
  | { type: "STEP_FINISHED"; stepName: string }
  | { type: "TEXT_MESSAGE_START"; messageId: string; role: "assistant" }
  | { type: "TEXT_MESSAGE_CONTENT"; messageId: string; delta: string }
  | { type: "TEXT_MESSAGE_END"; messageId: string }
  | { type: "TOOL_CALL_START"; toolCallId: string; toolCallName: string }
  | { type: "TOOL_CALL_ARGS"; toolCallId: string; delta: string }
  | { type: "TOOL_CALL_END"; toolCallId: string }
  | { type: "TOOL_CALL_RESULT"; messageId: string; toolCallId: string; content: string; role: "tool" }
  | { type: "MESSAGES_SNAPSHOT"; messages: Message[] }
  | { type: "CUSTOM"; name: string; value: unknown };

/** Events of one run, in order. */
export interface Run {
  /** Resolves after the last event, or with `abort`. It never rejects: a failure is `RUN_ERROR`. */
  done: Promise<void>;
  /** No further events. The job goes on; `cancel` of its handle stops it. */
  abort(): void;
}
export interface TransportOptions {
  /** A name of `client.agents()`; default `main`. */
  agent?: string;
  /** The message of `RUN_ERROR`, for a person: for example `errorText` and `jobText` of `openclaw-miniprogram-client/text`. */
  describe?: (cause: { error: ClientError } | { job: Job }) => string;
}
/** What turns a run input into events. `aguiTransport(client)` is one. */
export interface Transport {
  run(input: RunInput, onEvent: (event: AguiEvent) => void): Run;
}

export type ToolStatus = "pending" | "ready" | "executing" | "completed" | "failed";
export type UiPart =
  | { type: "text"; id: string; text: string }
  | { type: "tool"; id: string; toolCallId: string; name: string; args?: unknown; status: ToolStatus; result?: string };
/** Consecutive messages of one role, for `wx:for`. */
export interface UiMessage {
  id: string;
  role: "user" | "assistant";
  parts: UiPart[];
}
/** `this.data.agui` of a component that has the behavior. */
export interface AguiData {
  messages: Message[];
  uiMessages: UiMessage[];
  isRunning: boolean;
  error: { code?: string; message: string } | null;
  runId: string | null;
  threadId: string;
  /** What the last run waits for: answer with `this.agui.resolve(id, true)` or `false`. */
  interrupts: Interrupt[];
}
/** `this.agui` of a component that has the behavior. */
export interface AguiMethods {
  init(options: { transport: Transport; threadId?: string }): void;
  sendMessage(message: string | Message[]): Promise<void>;
  /** Answers an interrupt: the next run has it as its `resume` entry. */
  resolve(interruptId: string, approved: boolean): Promise<void>;
  appendMessage(message: Message): void;
  setMessages(messages: Message[]): void;
  setThreadId(threadId: string): void;
  reset(): void;
  /** No further events of the run: `sendMessage` or `resolve` settles. The job goes on. */
  abort(): void;
}
export interface AguiBehaviorOptions {
  transport?: Transport;
  threadId?: string;
  messages?: Message[];
  onRawEvent?: (event: AguiEvent) => void;
  /** Default: the global `Behavior`. */
  behavior?: (definition: object) => string;
}
