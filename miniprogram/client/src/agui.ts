// AG-UI 1.0 on top of the client: a transport, and the Behavior of a component.
import { REPLACED, Teller, applied, interruptOf } from "./agui-events.ts";
import type { AguiEvent, Message, Run, RunInput, RunOutcome, Transport, TransportOptions } from "./agui-types.ts";
import type { Client, ClientError, Job, JobHandle } from "./types.ts";

export { createAGUIBehavior } from "./behavior.ts";
export { applied as applyEvent, uiMessages } from "./agui-events.ts";
export type * from "./agui-types.ts";

const PROTOCOL = "1.0";
const CONVERSATION = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Runs of AG-UI as turns of an agent: the thread is the conversation, the run is the intent, an approval is an interrupt. */
export function aguiTransport(client: Client, options: TransportOptions = {}): Transport {
  const tellers = new Map<string, Teller>();
  const describe = options.describe ?? ((cause) => ("error" in cause ? cause.error.message : (cause.job.error?.message ?? cause.job.status)));

  /** The handle of a run: of a new turn, or of the job whose approval request it decides. */
  const begin = async (input: RunInput): Promise<JobHandle> => {
    const [entry] = input.resume ?? [];
    if (!entry) {
      if (!CONVERSATION.test(input.threadId)) throw Object.assign(new Error("the thread id is no name of a conversation"), { code: "thread_id_invalid" });
      const more = Object.assign({ conversation: input.threadId, intent: input.runId }, options.agent && { agent: options.agent });
      return client.say(lastWords(input.messages), more);
    }
    const [id = "", digest] = entry.interruptId.split("~");
    const handle = client.follow(id);
    const asked = handle.job?.approval ?? (await client.job(id)).approval;
    if (asked?.digest !== digest) throw Object.assign(new Error("something else is asked by now"), { code: "approval_digest_mismatch" });
    const approved = entry.status === "resolved" && (entry.payload as { approved?: unknown } | undefined)?.approved === true;
    await (approved ? handle.approve() : handle.reject());
    return handle;
  };

  return {
    run(input, onEvent): Run {
      const { threadId, runId } = input;
      let stopped = false;
      let messages = input.messages;
      let forget: (() => void) | undefined;
      let settle: () => void;
      const emit = (event: AguiEvent): void => {
        let told = event;
        if (event.type === "CUSTOM" && event.name === REPLACED) {
          const { messageId, content } = event.value as { messageId: string; content: string };
          told = { type: "MESSAGES_SNAPSHOT", messages: messages.map((message) => (message.id === messageId ? ({ ...message, content }) : message)) };
        }
        messages = applied(messages, told);
        if (!stopped) onEvent(told);
      };

      const done = new Promise<void>((resolve) => {
        settle = resolve;
        const end = (event: AguiEvent): void => {
          emit(event);
          forget?.();
          resolve();
        };
        const fail = (error: Error & { code?: string }): void => {
          const message = "retryable" in error ? describe({ error: error as ClientError }) : error.message;
          end(Object.assign({ type: "RUN_ERROR" as const, message }, error.code && { code: error.code }));
        };
        emit({ type: "RUN_STARTED", threadId, runId, protocolVersion: PROTOCOL });
        begin(input).then((handle) => {
          if (stopped) return;
          const teller = tellers.get(handle.requestId) ?? new Teller(handle.submission);
          const replies = new Map<number, string>();
          let over = false;
          /** Polls may be faster than the reads of steps that they need, so they are handled one after another. */
          let looks: Promise<void> = Promise.resolve();
          const look = async (job: Job | undefined, error: ClientError | undefined): Promise<void> => {
            if (over || stopped) return;
            if (job) {
              tellers.set(job.request_id, teller);
              await readReplies(client, job, replies);
              teller.look_(job, replies).forEach(emit);
            }
            const finish = (outcome: RunOutcome, result?: unknown): void =>
              end(Object.assign({ type: "RUN_FINISHED" as const, threadId, runId, outcome }, result === undefined ? {} : { result }));
            const interrupt = job && interruptOf(job);
            over = interrupt !== undefined || handle.over;
            if (!over) return;
            teller.close_(job).forEach(emit);
            if (interrupt) return finish({ type: "interrupt", interrupts: [interrupt] });
            if (error || !job) return fail(error!);
            tellers.delete(job.request_id);
            if (job.status === "succeeded") finish({ type: "success" }, job.result);
            else if (job.status === "cancelled") finish({ type: "cancelled" });
            else if (job.status === "explained") {
              emit({ type: "CUSTOM", name: "explained", value: job.result });
              finish({ type: "success" }, job.result);
            } else end({ type: "RUN_ERROR", message: describe({ job }), code: job.error?.code ?? job.status });
          };
          forget = handle.onProgress(({ job, error }) => {
            looks = looks.then(() => look(job, handle.over ? error : undefined));
          });
        }, fail);
      });
      return {
        done,
        abort: () => {
          stopped = true;
          forget?.();
          settle();
        },
      };
    },
  };
}

/** The replies of ended rounds of a turn. The last one is the job's result, the others are read with their step. */
async function readReplies(client: Client, job: Job, replies: Map<number, string>): Promise<void> {
  for (const [place, { kind, outcome }] of job.steps.entries()) {
    if (kind !== "turn" || outcome !== "succeeded" || replies.has(place)) continue;
    const last = place === job.steps.length - 1;
    const result = last && job.result !== undefined ? job.result : await client.step(job.request_id, place).then(({ result }) => result, () => undefined);
    const reply = (result as { reply?: unknown } | undefined)?.reply;
    if (typeof reply === "string") replies.set(place, reply);
  }
}

function lastWords(messages: Message[]): string {
  const said = [...messages].reverse().find(({ role }) => role === "user");
  return said?.content ?? "";
}
