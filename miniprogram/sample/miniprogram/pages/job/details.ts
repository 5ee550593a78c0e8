// One request: its state, its result, and its audit record.
import type { Client, ClientError, JobHandle } from "openclaw-miniprogram-client";
import { auditLines } from "../../view/audit";
import { viewOf } from "../../view/job-view";
import type { Language } from "../../view/language";
import { noticeOfError } from "../../view/notice";
import type { Set } from "../../view/set";

export class Details {
  private client: Client;
  private language: Language;
  private set: Set;
  private handle: JobHandle;
  private unfollow: () => void;
  private seen = "";

  constructor(client: Client, language: Language, set: Set, requestId: string) {
    this.client = client;
    this.language = language;
    this.set = set;
    this.handle = client.follow(requestId);
    this.set({ audit: [], chain: "", detailNotice: null });
    this.unfollow = this.handle.onProgress(() => this.show());
    this.show();
  }

  async cancel(): Promise<void> {
    try {
      await this.handle.cancel();
      this.show();
    } catch (error) {
      this.set({ detailNotice: noticeOfError(error as ClientError, this.language) });
    }
  }

  leave(): void {
    this.unfollow();
  }

  private show(): void {
    const { job } = this.handle;
    this.set({ view: viewOf(this.handle, this.language) });
    // The record grows when the job changes; a poll that saw nothing new reads no record.
    if (!job || job.updated_at === this.seen) return;
    this.seen = job.updated_at;
    void this.readAudit();
  }

  private async readAudit(): Promise<void> {
    try {
      const chain = await this.client.audit(this.handle.requestId);
      this.set({ audit: auditLines(chain, this.language), chain: chain.head.digest });
    } catch (error) {
      this.set({ detailNotice: noticeOfError(error as ClientError, this.language) });
    }
  }
}
