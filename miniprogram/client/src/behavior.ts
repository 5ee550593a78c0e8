// A Behavior with the names of Tencent's AG-UI SDK for Mini Programs: `data.agui` to show, `this.agui` to call.
import { applied, uiMessages } from "./agui-events.ts";
import type { AguiBehaviorOptions, AguiData, AguiEvent, AguiMethods, Message, ResumeEntry, Run, Transport } from "./agui-types.ts";
import { requestId } from "./request-id.ts";

declare const Behavior: ((definition: object) => string) | undefined;

interface Component {
  agui: AguiMethods & AguiData;
  setData(data: { agui: AguiData }): void;
}

const newId = (prefix: string): string => `${prefix}-${requestId(Date.now())}`;

/** Give it to `behaviors` of a component, and show `agui.uiMessages`. */
export function createAGUIBehavior(options: AguiBehaviorOptions): string {
  const define = options.behavior ?? Behavior!;
  return define({
    data: { agui: dataOf(options) },
    lifetimes: {
      created(this: Component) {
        Object.assign(this, { agui: controller(this, options) });
      },
      attached(this: Component) {
        this.agui.setMessages(this.agui.messages);
      },
      detached(this: Component) {
        this.agui.abort();
      },
    },
  });
}

const dataOf = ({ messages = [], threadId = newId("t") }: AguiBehaviorOptions): AguiData => ({
  messages, uiMessages: uiMessages(messages, []), isRunning: false, error: null, runId: null, threadId, interrupts: [],
});

function controller(component: Component, options: AguiBehaviorOptions): AguiMethods & AguiData {
  const data = dataOf(options);
  let transport: Transport | undefined = options.transport;
  let run: Run | undefined;

  const show = (change: Partial<AguiData>): void => {
    Object.assign(data, change);
    const waiting = data.interrupts.map(({ toolCallId }) => toolCallId ?? "");
    data.uiMessages = uiMessages(data.messages, waiting);
    component.setData({ agui: Object.assign({}, data) });
  };

  const take = (event: AguiEvent): void => {
    options.onRawEvent?.(event);
    const messages = applied(data.messages, event);
    if (event.type === "RUN_ERROR") {
      const { message, code } = event;
      // A decision that did not get through can be made again; one that was refused cannot.
      const interrupts = code?.startsWith("approval_") ? [] : data.interrupts;
      show({ isRunning: false, interrupts, error: Object.assign({ message }, code ? { code } : {}) });
    } else if (event.type === "RUN_FINISHED") {
      show({ isRunning: false, interrupts: event.outcome.type === "interrupt" ? event.outcome.interrupts : [] });
    } else if (messages !== data.messages) show({ messages });
  };

  const start = async (added: Message[], resume?: ResumeEntry[]): Promise<void> => {
    if (data.isRunning) throw new Error("agui: a run is going on");
    if (!transport) throw new Error("agui: there is no transport; call init");
    show({ messages: [...data.messages, ...added] });
    const runId = newId("r");
    const { threadId, messages } = data;
    show({ isRunning: true, error: null, runId, interrupts: resume ? data.interrupts : [] });
    run = transport.run(Object.assign({ threadId, runId, protocolVersion: "1.0", messages, tools: [] as [], context: [] as [] }, resume && { resume }), take);
    await run.done;
  };

  const methods: AguiMethods = {
    init: (more) => {
      transport = more.transport;
      if (more.threadId) show({ threadId: more.threadId });
    },
    sendMessage: async (message) => {
      const said: Message[] = typeof message === "string" ? [{ id: newId("m"), role: "user", content: message }] : message;
      await start(said);
    },
    resolve: (interruptId, approved) => start([], [{ interruptId, status: "resolved", payload: { approved } }]),
    appendMessage: (message) => show({ messages: [...data.messages, message] }),
    setMessages: (messages) => show({ messages }),
    setThreadId: (threadId) => show({ threadId }),
    abort: () => {
      run?.abort();
      if (data.isRunning) show({ isRunning: false });
    },
    reset: () => {
      methods.abort();
      show(dataOf(Object.assign({}, options, { messages: [] })));
    },
  };
  // The state can be read of `this.agui` as well.
  return Object.defineProperties(methods, Object.getOwnPropertyDescriptors(Object.freeze(views(data)))) as AguiMethods & AguiData;
}

function views(data: AguiData): AguiData {
  const view = {} as AguiData;
  for (const name of Object.keys(data) as (keyof AguiData)[]) Object.defineProperty(view, name, { get: () => data[name], enumerable: true, configurable: true });
  return view;
}
