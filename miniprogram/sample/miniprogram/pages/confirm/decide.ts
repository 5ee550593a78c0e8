// The decision about one approval request: the call, the remaining time, approve or reject.
import type { Client, ClientError, JobHandle } from "openclaw-miniprogram-client";
import { approvalView } from "../../view/approval-view";
import { viewOf } from "../../view/job-view";
import type { Language } from "../../view/language";
import { noticeOfError } from "../../view/notice";
import type { Set } from "../../view/set";

/** The second touch of a double tap on a decision falls on what has taken its place. */
const DOUBLE_TAP_MS = 800;

export class Decide {
  private client: Client;
  private language: Language;
  private set: Set;
  private handle: JobHandle;
  private unfollow: () => void;
  private deciding = false;
  private decidedAt = -Infinity;

  constructor(client: Client, language: Language, set: Set, requestId: string) {
    this.client = client;
    this.language = language;
    this.set = set;
    this.handle = client.follow(requestId);
    this.set({ deciding: false, decideNotice: null });
    this.unfollow = this.handle.onProgress(() => this.show());
    this.show();
  }

  /** Each second, for the countdown. */
  tick(): void {
    const { job } = this.handle;
    if (job?.approval && !job.approval.decision) this.set({ approval: approvalView(job, this.client.now(), this.language) });
  }

  decide(approved: boolean): Promise<void> {
    // A second touch while the first is on its way is the same decision.
    if (this.deciding) return Promise.resolve();
    this.deciding = true;
    this.set({ deciding: true, decideNotice: null });
    const answer = approved ? this.handle.approve() : this.handle.reject();
    return answer.then(
      () => this.decided(null),
      (error: ClientError) => this.decided(noticeOfError(error, this.language)),
    );
  }

  cancel(): Promise<void> {
    if (Math.abs(this.client.now() - this.decidedAt) < DOUBLE_TAP_MS) return Promise.resolve();
    return this.handle.cancel().catch((error: ClientError) => this.set({ decideNotice: noticeOfError(error, this.language) }));
  }

  leave(): void {
    this.unfollow();
  }

  private decided(decideNotice: ReturnType<typeof noticeOfError> | null): void {
    this.deciding = false;
    this.decidedAt = this.client.now();
    this.set({ deciding: false, decideNotice });
    this.show();
  }

  private show(): void {
    const { job } = this.handle;
    this.set({
      view: viewOf(this.handle, this.language),
      approval: job ? approvalView(job, this.client.now(), this.language) : null,
    });
  }
}
