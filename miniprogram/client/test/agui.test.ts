// Events of AG-UI 1.0 from looks at a job, held against @ag-ui/core (schemas) and @ag-ui/client (order, and what becomes of them).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunAgentInput } from "@ag-ui/core";
import { EventSchemas, RunAgentInputSchema } from "@ag-ui/core/schemas";
import { defaultApplyEvents, verifyEvents } from "@ag-ui/client";
import { from, lastValueFrom, toArray } from "rxjs";
import { aguiTransport, applyEvent, createAGUIBehavior, uiMessages } from "../src/agui.ts";
import type { AguiData, AguiEvent, AguiMethods, Message, RunInput } from "../src/agui.ts";
import { phoneError } from "../src/errors.ts";
import type { Client, ClientError, Job, JobHandle, Step } from "../src/types.ts";
import { settle } from "./time.ts";

const ID = "01a202b2-c500-7abc-9def-0123456789ab";
const DIGEST = "d".repeat(43);

function job(status: Job["status"], steps: Partial<Step>[], more: Partial<Job> = {}): Job {
  const at = "2026-11-22T10:00:00.000Z";
  const whole = steps.map((step, place): Step => Object.assign({ kind: "turn" as const, agent: "main", step: 0, round: place }, step));
  return { request_id: ID, status, cursor: whole.findIndex(({ outcome }) => !outcome), steps: whole, support_code: "s", not_after: at, created_at: at, updated_at: at, ...more };
}

/** A client whose one job changes poll by poll. */
class ScriptedClient {
  handle: JobHandle & { job: Job | undefined; error: ClientError | undefined; over: boolean };
  said: unknown[] = [];
  decided: string[] = [];
  replies = new Map<number, string>();
  #listeners = new Set<(handle: JobHandle) => void>();

  constructor() {
    const decide = (decision: "approve" | "reject") => async () => {
      this.decided.push(decision);
      Object.assign(this.handle.job!, { status: "queued" });
      Object.assign(this.handle.job!.approval!, { decision });
      return this.handle.job!;
    };
    this.handle = {
      requestId: ID, status: "queued", over: false, job: undefined, error: undefined, supportCode: undefined, submission: undefined,
      onProgress: (listener: (handle: JobHandle) => void) => {
        this.#listeners.add(listener);
        queueMicrotask(() => listener(this.handle));
        return () => this.#listeners.delete(listener);
      },
      result: () => Promise.reject(new Error("not used")), cancel: async () => undefined, approve: decide("approve"), reject: decide("reject"),
    } as never;
  }

  async look(seen: Job): Promise<void> {
    this.handle.job = seen;
    this.handle.over = !["queued", "running", "retrying", "awaiting_approval"].includes(seen.status);
    for (const listener of this.#listeners) listener(this.handle);
    await settle();
  }

  async fail(error: ClientError): Promise<void> {
    Object.assign(this.handle, { error, over: true });
    for (const listener of this.#listeners) listener(this.handle);
    await settle();
  }

  get listening(): number {
    return this.#listeners.size;
  }

  get client(): Client {
    return {
      say: (message: string, options: unknown) => (this.said.push([message, options]), this.handle),
      follow: () => this.handle,
      job: async () => this.handle.job!,
      step: async (_id: string, place: number) => ({ result: { reply: this.replies.get(place) } }),
    } as unknown as Client;
  }
}

const input = (more: Partial<RunInput> = {}): RunInput => ({
  threadId: "breakfast", runId: "run-1", messages: [{ id: "m1", role: "user", content: "Good morning" }], tools: [], context: [], ...more,
});

/** Every event is valid, their order is, and the official reducer makes the same messages of them as ours. */
async function valid(events: AguiEvent[], messages: Message[]): Promise<void> {
  for (const event of events) EventSchemas.parse(event);
  const stream = from(events as never[]);
  const passed = await lastValueFrom(verifyEvents()(stream).pipe(toArray()));
  assert.equal(passed.length, events.length);
  const checked: unknown = RunAgentInputSchema.parse(input({ messages }));
  const runInput = checked as RunAgentInput;
  const agent = { messages: structuredClone(runInput.messages), state: {} };
  const changes = await lastValueFrom(defaultApplyEvents(runInput, from(events as never[]), agent as never, []).pipe(toArray()));
  const theirs = changes.findLast(({ messages }) => messages)?.messages ?? runInput.messages;
  const ours = events.reduce(applyEvent, messages);
  assert.deepEqual(JSON.parse(JSON.stringify(ours)), JSON.parse(JSON.stringify(theirs)));
}

async function told(script: (client: ScriptedClient) => Promise<void>, more: Partial<RunInput> = {}, scripted = new ScriptedClient()): Promise<AguiEvent[]> {
  const events: AguiEvent[] = [];
  const run = aguiTransport(scripted.client).run(input(more), (event) => events.push(event));
  await settle();
  await script(scripted);
  await run.done;
  await valid(events, input(more).messages);
  return events;
}

const types = (events: AguiEvent[]): string[] => events.map(({ type }) => type);
const text = (events: AguiEvent[]): string => events.map((event) => (event.type === "TEXT_MESSAGE_CONTENT" ? event.delta : "")).join("");

test("a turn is a run: what is said grows, and the reply is its end", async () => {
  const scripted = new ScriptedClient();
  const events = await told(async (s) => {
    await s.look(job("queued", [{}], { cursor: 0 }));
    await s.look(job("running", [{ partial: "Good" }]));
    await s.look(job("running", [{ partial: "Good mor" }]));
    await s.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: "Good morning." } }));
  }, {}, scripted);
  assert.deepEqual(scripted.said, [["Good morning", { conversation: "breakfast", intent: "run-1" }]]);
  assert.deepEqual(types(events), [
    "RUN_STARTED", "STEP_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT",
    "TEXT_MESSAGE_END", "STEP_FINISHED", "RUN_FINISHED",
  ]);
  assert.equal(text(events), "Good morning.");
  assert.deepEqual(events.at(-1), { type: "RUN_FINISHED", threadId: "breakfast", runId: "run-1", outcome: { type: "success" }, result: { reply: "Good morning." } });
});

test("of a long reply the phone sees the end, and shows it whole when it is over", async () => {
  const letters = Array.from({ length: 1000 }, (_, number) => String.fromCodePoint(97 + (number * 7) % 26)).join("") + "!";
  const events = await told(async (s) => {
    for (let length = 300; length <= 1000; length += 100) await s.look(job("running", [{ partial: letters.slice(Math.max(0, length - 400), length) }]));
    await s.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: letters } }));
  });
  assert.equal(text(events), letters);
});

test("a reply that became another is replaced", async () => {
  const events = await told(async (s) => {
    await s.look(job("running", [{ partial: "I think that" }]));
    await s.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: "No." } }));
  });
  const snapshot = events.find(({ type }) => type === "MESSAGES_SNAPSHOT") as { messages: Message[] };
  assert.equal(snapshot.messages.at(-1)?.content, "No.");
});

test("tools of a turn are calls with an end and an answer", async () => {
  const at = "2026-11-22T10:00:01.000Z";
  const tool = (state: string) => ({ at, doing: "tool", tool: "ledger_read", state, arguments: '{"limit":1}' }) as never;
  const events = await told(async (s) => {
    await s.look(job("running", [{ progress: [{ at, doing: "thinking" }, tool("running")] }]));
    await s.look(job("running", [{ progress: [tool("done"), { at, doing: "replying" }], partial: "One" }]));
    await s.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: "One note." } }));
  });
  assert.deepEqual(types(events).filter((type) => type.startsWith("TOOL")), ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"]);
});

const asked = (decision?: "approve" | "reject"): Partial<Job> => ({
  approval: { place: 1, proposed: true, approver: "user", digest: DIGEST, title: "Pay", summary: "Pay 120", arguments: { amount: 120 }, expires_at: "2026-11-22T10:10:00.000Z", ...(decision && { decision, by: "user" }) } as never,
});
const round = { kind: "turn", outcome: "succeeded" } as const;
const proposal = { kind: "call", tool: "ledger_pay", proposed: true, agent: undefined } as never as Partial<Step>;

test("an approval interrupts the run, and the resume entry of the next run is the decision", async () => {
  const scripted = new ScriptedClient();
  scripted.replies.set(0, "I have to ask you first.");
  const transport = aguiTransport(scripted.client);
  const first: AguiEvent[] = [];
  const run = transport.run(input(), (event) => first.push(event));
  await settle();
  await scripted.look(job("awaiting_approval", [round, proposal, {}], { cursor: 1, ...asked() }));
  await run.done;
  await valid(first, input().messages);
  const finished = first.at(-1) as AguiEvent & { type: "RUN_FINISHED" };
  assert.ok(finished.outcome.type === "interrupt");
  const [interrupt] = finished.outcome.interrupts;
  assert.deepEqual([interrupt!.message, interrupt!.expiresAt], ["Pay 120", "2026-11-22T10:10:00.000Z"]);
  assert.ok(first.some((event) => event.type === "TOOL_CALL_START" && event.toolCallId === interrupt!.toolCallId));
  assert.equal(text(first), "I have to ask you first.");

  const messages = first.reduce(applyEvent, input().messages);
  const second: AguiEvent[] = [];
  const resume = [{ interruptId: interrupt!.id, status: "resolved" as const, payload: { approved: true } }];
  const next = transport.run(input({ runId: "run-2", messages, resume }), (event) => second.push(event));
  await settle();
  await scripted.look(job("running", [round, { ...proposal, outcome: "succeeded" }, {}], { cursor: 2, ...asked("approve") }));
  await scripted.look(job("succeeded", [round, { ...proposal, outcome: "succeeded" }, round], { cursor: 3, result: { reply: "Paid." }, ...asked("approve") }));
  await next.done;
  await valid(second, messages);
  assert.deepEqual(scripted.decided, ["approve"]);
  assert.equal(text(second), "Paid.", "nothing is told twice");
  assert.deepEqual((second.at(-1) as { outcome: unknown }).outcome, { type: "success" });
});

for (const [entry, decision] of [[{ status: "cancelled" }, "reject"], [{ status: "resolved", payload: { approved: false } }, "reject"], [{ status: "resolved", payload: "yes" }, "reject"]] as const) {
  test(`a resume entry ${JSON.stringify(entry)} is a no`, async () => {
    const scripted = new ScriptedClient();
    scripted.handle.job = job("awaiting_approval", [round, proposal, {}], { cursor: 1, ...asked() });
    const events = await told(async (s) => s.look(job("refused", [round, { ...proposal, outcome: "refused" }], { error: { code: "approval_rejected", message: "no" } })), { resume: [{ interruptId: `${ID}~${DIGEST}`, ...entry }] }, scripted);
    assert.deepEqual(scripted.decided, [decision]);
    assert.equal((events.at(-1) as { code?: string }).code, "approval_rejected");
  });
}

test("a decision about something that is no longer asked is refused on the phone", async () => {
  const scripted = new ScriptedClient();
  scripted.handle.job = job("awaiting_approval", [round, proposal, {}], { cursor: 1, ...asked() });
  const events = await told(async () => undefined, { resume: [{ interruptId: `${ID}~another`, status: "resolved", payload: { approved: true } }] }, scripted);
  assert.deepEqual([scripted.decided, (events.at(-1) as { code?: string }).code], [[], "approval_digest_mismatch"]);
});

test("what an operator has to decide is waited for", async () => {
  const events = await told(async (s) => {
    const question = asked();
    Object.assign(question.approval!, { approver: "operator" });
    await s.look(job("awaiting_approval", [{ ...proposal, round: 0 }], { cursor: 0, approval: { ...question.approval!, place: 0 } }));
    await s.look(job("succeeded", [{ ...proposal, round: 0, outcome: "succeeded" }], { result: { details: 1 } }));
  });
  assert.deepEqual(types(events), ["RUN_STARTED", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT", "RUN_FINISHED"]);
});

for (const [status, code, type] of [["failed", "model_failed", "RUN_ERROR"], ["unknown", "outcome_unknown", "RUN_ERROR"], ["expired", "approval_expired", "RUN_ERROR"], ["cancelled", "cancelled", "RUN_FINISHED"], ["explained", "mode_explain_only", "RUN_FINISHED"]] as const) {
  test(`a job that ends as ${status} ends its run with ${type}`, async () => {
    const events = await told(async (s) => {
      await s.look(job("running", [{ partial: "Wai" }]));
      await s.look(job(status, [{ outcome: "failed" }], { error: { code, message: "for people" }, result: { why: "mode_explain_only" } }));
    });
    assert.equal(events.at(-1)!.type, type);
  });
}

test("an intent that never becomes a job is RUN_ERROR with its code, at once or later", async () => {
  const later = await told(async (s) => s.fail(phoneError("offline", "no")));
  assert.equal((later.at(-1) as { code?: string }).code, "offline");
  const scripted = new ScriptedClient();
  const events: AguiEvent[] = [];
  const client = { ...scripted.client, say: () => { throw phoneError("outbox_full", "32"); } } as unknown as Client;
  await aguiTransport(client).run(input(), (event) => events.push(event)).done;
  assert.equal((events.at(-1) as { code?: string }).code, "outbox_full");
  const thread: AguiEvent[] = [];
  await aguiTransport(scripted.client).run(input({ threadId: "Not A Name" }), (event) => thread.push(event)).done;
  assert.equal((thread.at(-1) as { code?: string }).code, "thread_id_invalid");
});

test("any growth of a job, at any speed of polling, is a valid run", async () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    let state = seed;
    const below = (end: number): number => (state = (state * 48271) % 2147483647) % end;
    await told(async (s) => {
      const steps: Partial<Step>[] = [{}];
      for (let looks = below(12); looks > 0; looks -= 1) {
        const step = steps.at(-1)!;
        const at = `2026-11-22T10:00:0${below(10)}.000Z`;
        if (below(3) === 0) step.partial = "abcdefghij".slice(below(3), 3 + below(7));
        if (below(3) === 0) step.progress = [{ at, doing: "tool", tool: "ledger_read", state: (["running", "done", "failed", "proposed"] as const)[below(4)]! }];
        if (below(4) === 0) {
          steps[steps.length - 1] = { outcome: "succeeded" };
          steps.push({ ...proposal, ...(below(2) === 0 ? { outcome: (["succeeded", "refused", "failed"] as const)[below(3)]! } : {}) }, {});
        }
        const cursor = Math.max(0, steps.findIndex(({ outcome }) => !outcome));
        if (below(2) === 0) await s.look(job("running", structuredClone(steps), { cursor }));
      }
      const over = (["succeeded", "failed", "cancelled", "unknown"] as const)[below(4)]!;
      if (over === "succeeded") for (const step of steps) {
        delete step.progress;
        delete step.partial;
        step.outcome ??= "succeeded";
      }
      await s.look(job(over, steps, over === "succeeded" ? { cursor: steps.length, result: { reply: "abcdefgh" } } : { error: { code: "tool_failed", message: "no" } }));
    });
  }
});

test("a component with the behavior shows messages, asks, and goes on with the answer", async () => {
  const scripted = new ScriptedClient();
  scripted.replies.set(0, "I have to ask.");
  let definition: { data: { agui: AguiData }; lifetimes: Record<"created" | "attached" | "detached", () => void> };
  const raw: string[] = [];
  const behavior = createAGUIBehavior({
    transport: aguiTransport(scripted.client), threadId: "breakfast", onRawEvent: ({ type }) => raw.push(type),
    behavior: (given) => ((definition = given as never), "behavior-1"),
  });
  assert.equal(behavior, "behavior-1");
  const component = {
    data: definition!.data,
    setData: (data: { agui: AguiData }) => Object.assign(component.data, data),
  } as unknown as { data: { agui: AguiData }; agui: AguiMethods & AguiData };
  definition!.lifetimes.created.call(component);
  definition!.lifetimes.attached.call(component);
  const sent = component.agui.sendMessage("Pay 120");
  await settle();
  assert.equal(component.data.agui.isRunning, true);
  await assert.rejects(component.agui.sendMessage("again"), /a run is going on/);
  await scripted.look(job("awaiting_approval", [round, proposal, {}], { cursor: 1, ...asked() }));
  await sent;
  const { interrupts, uiMessages: shown, isRunning } = component.data.agui;
  assert.equal(isRunning, false);
  assert.deepEqual(shown.map(({ role, parts }) => [role, parts.map((part) => (part.type === "text" ? part.text : `${part.name} ${part.status}`))]), [["user", ["Pay 120"]], ["assistant", ["I have to ask.", "ledger_pay pending"]]]);
  const resumed = component.agui.resolve(interrupts[0]!.id, true);
  await settle();
  await scripted.look(job("succeeded", [round, { ...proposal, outcome: "succeeded" }, round], { cursor: 3, result: { reply: "Paid." }, ...asked("approve") }));
  await resumed;
  assert.deepEqual(component.data.agui.uiMessages.at(-1)!.parts.map((part) => (part.type === "text" ? part.text : part.status)), ["I have to ask.", "completed", "Paid."]);
  assert.deepEqual([component.agui.isRunning, component.agui.error, raw.at(-1)], [false, null, "RUN_FINISHED"]);
  component.agui.reset();
  assert.deepEqual(component.data.agui.messages, []);
  definition!.lifetimes.detached.call(component);
});

test("abort ends what waits for the run, and no further event comes", async () => {
  const scripted = new ScriptedClient();
  const events: AguiEvent[] = [];
  const run = aguiTransport(scripted.client).run(input(), (event) => events.push(event));
  run.abort();
  await run.done;
  await settle();
  await scripted.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: "late" } }));
  assert.deepEqual(types(events), ["RUN_STARTED"]);
  assert.equal(scripted.listening, 0);
});

test("after abort of a component sendMessage is settled, the page shows that nothing runs, and another run can begin", async () => {
  const scripted = new ScriptedClient();
  let definition: { data: { agui: AguiData }; lifetimes: Record<"created" | "attached" | "detached", () => void> };
  createAGUIBehavior({ transport: aguiTransport(scripted.client), threadId: "breakfast", behavior: (given) => ((definition = given as never), "b") });
  const component = { data: {}, setData: (data: { agui: AguiData }) => Object.assign(component.data, data) } as unknown as { data: { agui: AguiData }; agui: AguiMethods & AguiData };
  definition!.lifetimes.created.call(component);
  const sent = component.agui.sendMessage("one");
  await scripted.look(job("running", [{ partial: "Wai" }]));
  component.agui.abort();
  await sent;
  assert.equal(component.data.agui.isRunning, false);
  const next = component.agui.sendMessage("two");
  await settle();
  await scripted.look(job("succeeded", [{ outcome: "succeeded" }], { result: { reply: "Done." } }));
  await next;
  assert.deepEqual([component.data.agui.isRunning, component.data.agui.messages.map(({ content }) => content)], [false, ["one", "Done.", "two"]]);
});

test("uiMessages marks a call that did not run", () => {
  const messages: Message[] = [
    { id: "a", role: "assistant", toolCalls: [{ id: "c", type: "function", function: { name: "ledger_pay", arguments: '{"amount":1}' } }] },
    { id: "r", role: "tool", toolCallId: "c", content: "refused: approval_rejected" },
  ];
  assert.deepEqual(uiMessages(messages, []), [{ id: "c", role: "assistant", parts: [{ type: "tool", id: "c", toolCallId: "c", name: "ledger_pay", status: "failed", args: { amount: 1 }, result: "refused: approval_rejected" }] }]);
});
