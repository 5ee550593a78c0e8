// The conversation: each message is an intent of its own, and its handle says what became of it.
import type { Agent, Client, ClientError, JobHandle } from "openclaw-miniprogram-client";
import { type Exchange, exchangeOf, newConversation } from "../../view/chat";
import type { Language } from "../../view/language";
import { noticeOfError } from "../../view/notice";
import type { Set } from "../../view/set";

export class Talk {
  private client: Client;
  private language: Language;
  private set: Set;
  private agents: Agent[] = [];
  private agent = "main";
  private conversation: string;
  private handles: JobHandle[] = [];
  private exchanges: Exchange[] = [];
  private unfollow: (() => void)[] = [];
  private count = 0;

  constructor(client: Client, language: Language, set: Set, conversation?: string) {
    this.client = client;
    this.language = language;
    this.set = set;
    this.conversation = conversation || newConversation(client.now());
    set({ exchanges: [], conversation: this.conversation, busy: false, talkNotice: null });
    // What was asked before the app was closed is shown again, and goes on.
    for (const handle of client.open()) {
      const { submission } = handle;
      if (submission && "message" in submission && submission.conversation === this.conversation) this.follow(handle, String(submission.message));
    }
  }

  /** Loads the agents that this user may talk to. */
  async load(): Promise<void> {
    try {
      this.agents = await this.client.agents();
      const titles = this.agents.map(({ title }) => title);
      this.set({ agents: titles, agentTitle: titles[0] ?? "", talkNotice: null });
      this.agent = this.agents[0]?.name ?? "main";
    } catch (error) {
      this.set({ talkNotice: noticeOfError(error as ClientError, this.language) });
    }
  }

  choose(at: number): void {
    const agent = this.agents[at];
    if (!agent || agent.name === this.agent) return;
    this.agent = agent.name;
    this.set({ agentTitle: agent.title });
    // A conversation keeps the agent that it began with.
    this.begin(newConversation(this.client.now()));
  }

  /** Another conversation on the screen. What is open goes on, and is found in the history. */
  begin(conversation: string): void {
    this.leave();
    this.conversation = conversation;
    this.handles = [];
    this.exchanges = [];
    this.set({ exchanges: [], conversation, busy: false, talkNotice: null });
  }

  /** Sends one message. Returns whether it was kept: only then may the page empty its input. */
  send(text: string): boolean {
    const message = text.trim();
    if (!message) return false;
    try {
      const intent = `${this.conversation}:${(this.count += 1)}:${this.client.now()}`;
      this.follow(this.client.say(message, { agent: this.agent, conversation: this.conversation, intent }), message);
      this.set({ talkNotice: null });
      return true;
    } catch (error) {
      this.set({ talkNotice: noticeOfError(error as ClientError, this.language) });
      return false;
    }
  }

  /** Stops what the user waits for. */
  stop(): void {
    [...this.handles].reverse().find((handle) => !handle.over)?.cancel().catch((error: ClientError) => {
      this.set({ talkNotice: noticeOfError(error, this.language) });
    });
  }

  /** Sends a message again that was not executed. */
  again(key: string): void {
    const said = this.exchanges.find((exchange) => exchange.key === key)?.said[0];
    if (said) this.send(String(said.data));
  }

  leave(): void {
    this.unfollow.forEach((stop) => stop());
    this.unfollow = [];
  }

  private follow(handle: JobHandle, message: string): void {
    const at = this.handles.push(handle) - 1;
    const show = (): void => {
      const exchange = exchangeOf(`m${at}`, message, handle, this.language);
      this.exchanges[at] = exchange;
      this.set({ [`exchanges[${at}]`]: exchange, busy: this.handles.some((one) => !one.over) });
    };
    show();
    this.unfollow.push(handle.onProgress(show));
  }
}
