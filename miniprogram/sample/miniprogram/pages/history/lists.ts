// The user's requests and conversations, page by page.
import type { Client, ClientError } from "openclaw-miniprogram-client";
import { timeOf } from "../../view/countdown";
import { seenJob, viewOf } from "../../view/job-view";
import type { Language } from "../../view/language";
import { noticeOfError } from "../../view/notice";
import type { Set } from "../../view/set";
import { textsOf } from "../../view/texts";

const PAGE = 20;

interface Row {
  key: string;
}

/** One list with a cursor. A list that is loaded again while a page is under way drops that page. */
class Pages<R extends Row> {
  rows: R[] = [];
  cursor: string | undefined;
  private read: (cursor?: string) => Promise<{ rows: R[]; cursor: string | undefined }>;
  private run = 0;
  private loading = false;

  constructor(read: (cursor?: string) => Promise<{ rows: R[]; cursor: string | undefined }>) {
    this.read = read;
  }

  async load(more: boolean): Promise<boolean> {
    if (more && (this.loading || !this.cursor)) return false;
    const run = (this.run += 1);
    this.loading = true;
    try {
      const page = await this.read(more ? this.cursor : undefined);
      if (run !== this.run) return false;
      // What came in between moves the pages: a row that is there already is not shown twice.
      const known = new Map((more ? this.rows : []).map((row) => [row.key, row]));
      for (const row of page.rows) known.set(row.key, row);
      this.rows = [...known.values()];
      this.cursor = page.cursor;
      return true;
    } finally {
      if (run === this.run) this.loading = false;
    }
  }
}

export class Lists {
  private client: Client;
  private language: Language;
  private set: Set;
  private requests: Pages<Row>;
  private conversations: Pages<Row>;

  constructor(client: Client, language: Language, set: Set) {
    this.client = client;
    this.language = language;
    this.set = set;
    const t = textsOf(language);
    this.requests = new Pages(async (cursor) => {
      const { jobs, next_cursor } = await client.jobs({ limit: PAGE, ...(cursor && { cursor }) });
      const rows = jobs.map((job) => {
        const { name, statusText, over, notice, createdAt } = viewOf(seenJob(job), language);
        return { key: job.request_id, name, statusText: notice?.title ?? statusText, tone: over ? (notice?.tone ?? "good") : "info", createdAt };
      });
      return { rows, cursor: next_cursor };
    });
    this.conversations = new Pages(async (cursor) => {
      const { conversations, next_cursor } = await client.conversations({ limit: PAGE, ...(cursor && { cursor }) });
      const rows = conversations.map(({ conversation, agent, turns, ending, updated_at }) => ({
        key: conversation,
        about: `${agent} · ${t.turns}${turns} · ${timeOf(updated_at)}`,
        ending: ending === true,
      }));
      return { rows, cursor: next_cursor };
    });
    set({ requests: [], conversations: [], moreRequests: false, moreConversations: false, listNotice: null, loaded: false });
  }

  /** Loads a list from its beginning, or its next page. */
  async load(which: "requests" | "conversations", more = false): Promise<void> {
    const list = this[which];
    try {
      if (!(await list.load(more))) return;
      const flag = which === "requests" ? "moreRequests" : "moreConversations";
      this.set({ [which]: list.rows, [flag]: list.cursor !== undefined, listNotice: null, loaded: true });
    } catch (error) {
      this.set({ listNotice: noticeOfError(error as ClientError, this.language), loaded: true });
    }
  }

  async remove(conversation: string): Promise<void> {
    try {
      const handle = await this.client.deleteConversation(conversation);
      await this.load("conversations");
      await handle.result();
      await this.load("conversations");
    } catch (error) {
      this.set({ listNotice: noticeOfError(error as ClientError, this.language) });
    }
  }
}
