// One call of a tool: its form, and the job that it becomes.
import type { Client, ClientError, JobHandle, Notification, Tool } from "openclaw-miniprogram-client";
import { type Field, argumentsOf, formOf, withFaults } from "../../view/form";
import { viewOf } from "../../view/job-view";
import type { Language } from "../../view/language";
import { noticeOfError } from "../../view/notice";
import type { Schema } from "../../view/schema";
import type { Set } from "../../view/set";
import { textsOf } from "../../view/texts";

/** The second touch of a double tap on the form's button falls on what has taken its place. */
const DOUBLE_TAP_MS = 800;

export class Call {
  private client: Client;
  private language: Language;
  private set: Set;
  private tools: Tool[] = [];
  private notifications: Notification[] = [];
  private tool: Tool | undefined;
  private fields: Field[] = [];
  private intent = "";
  private submittedAt = -Infinity;
  private handle: JobHandle | undefined;
  private unfollow: () => void = () => undefined;

  constructor(client: Client, language: Language, set: Set) {
    this.client = client;
    this.language = language;
    this.set = set;
    set({ tools: [], tool: null, fields: [], call: null, callNotice: null, notifies: false });
  }

  async load(): Promise<void> {
    const t = textsOf(this.language);
    try {
      this.tools = await this.client.tools();
      this.notifications = (await this.client.notifications()).slice(0, 1);
    } catch (error) {
      return this.set({ callNotice: noticeOfError(error as ClientError, this.language) });
    }
    const effects = { read: t.does_read, write: t.does_write, destructive: t.does_destructive };
    const approvals = { none: t.by_nobody, user: t.by_user, operator: t.by_operator };
    const tools = this.tools.map(({ name, title, effect, approval }) => ({ name, title, about: `${effects[effect]} · ${approvals[approval]}` }));
    this.set({ tools, callNotice: null, notifies: this.notifications.length > 0 });
  }

  choose(name: string): void {
    this.tool = this.tools.find((tool) => tool.name === name);
    if (!this.tool) return;
    this.set({ tool: { name, title: this.tool.title } });
    this.anew();
  }

  back(): void {
    if (this.justSubmitted()) return;
    this.unfollow();
    this.tool = undefined;
    this.set({ tool: null, call: null, callNotice: null });
  }

  /** An empty form: what is submitted from it is an intent of its own, however often the button is touched. */
  anew(): void {
    if (!this.tool || this.justSubmitted()) return;
    this.unfollow();
    this.fields = formOf(this.tool.schema as Schema, this.language);
    this.intent = `${this.tool.name}:${this.client.now()}:${Math.random()}`;
    this.set({ fields: this.fields, call: null, callNotice: null });
  }

  enter(name: string, value: Field["value"]): void {
    // The input shows its own value already: nothing is set while the user types.
    const field = this.fields.find((one) => one.name === name);
    if (field) field.value = value;
  }

  /** WeChat asks the user within the touch. The job is submitted whatever they answer. */
  submitAndTell(): void {
    void this.client.requestSubscribe(this.notifications);
    this.submit(this.notifications[0]?.name);
  }

  submit(notify?: string): void {
    if (!this.tool) return;
    const read = argumentsOf(this.fields, this.tool.schema as Schema, this.language);
    if ("fields" in read) return this.show(read.fields);
    try {
      this.follow(this.client.submit(this.tool.name, read.args, { intent: this.intent, ...(notify && { notify }) }));
      this.submittedAt = this.client.now();
    } catch (error) {
      this.set({ callNotice: noticeOfError(error as ClientError, this.language) });
    }
  }

  cancel(): void {
    if (this.justSubmitted()) return;
    this.handle?.cancel().catch((error: ClientError) => this.set({ callNotice: noticeOfError(error, this.language) }));
  }

  private justSubmitted(): boolean {
    return Math.abs(this.client.now() - this.submittedAt) < DOUBLE_TAP_MS;
  }

  leave(): void {
    this.unfollow();
  }

  private show(fields: Field[]): void {
    this.fields = fields;
    this.set({ fields });
  }

  private follow(handle: JobHandle): void {
    this.unfollow();
    this.handle = handle;
    const show = (): void => {
      const { error } = handle;
      if (handle.over && error?.code === "arguments_invalid") return this.correct(error);
      this.set({ call: viewOf(handle, this.language), callNotice: null });
    };
    show();
    this.unfollow = handle.onProgress(show);
  }

  /** Nothing was recorded: the form comes back with what is wrong, and is a new intent. */
  private correct(error: ClientError & { code: "arguments_invalid" }): void {
    const { fields, rest } = withFaults(this.fields, error.problem.errors);
    const notice = noticeOfError(error, this.language);
    this.unfollow();
    this.intent += "+";
    this.set({ call: null, callNotice: { ...notice, text: [notice.text, ...rest].join(" ") } });
    this.show(fields);
  }
}
