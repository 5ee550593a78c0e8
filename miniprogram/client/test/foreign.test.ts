// A client that was written from docs/api alone, without this library.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job, Wx } from "../src/types.ts";
import { append, foreign, type Run, source } from "./foreign.ts";
import { type Fate, Phone } from "./phone.ts";
import { Service } from "./service.ts";
import { Time } from "./time.ts";

test("it has fifty lines", () => assert.ok(source.trimEnd().split("\n").length <= 50));

for (const fate of ["ok", "lost", "answer lost", "resent", { status: 401, after: false, code: "no_session" }, { status: 429, after: false, code: "rate_limited", retryAfter: 2 }, { status: 503, after: true, code: "unavailable", retryAfter: 1 }] as Fate[]) {
  test(`its submission that meets ${JSON.stringify(fate)} is one job, also over a restart`, async () => {
    const time = new Time();
    const service = new Service(time);
    const phone = new Phone(time, service.server, "alice");
    // As wx.request and its storage really are: text and objects.
    const stored = new Map<string, unknown>();
    const start = (): Run => {
      const wx = Object.assign(phone.start(), {
        getStorageSync: (key: string) => structuredClone(stored.get(key)) ?? "", setStorageSync: (key: string, value: unknown) => stored.set(key, value),
        removeStorageSync: (key: string) => stored.delete(key),
      }) as never as Wx;
      const { request } = wx;
      wx.request = (options) => request({ ...options, timeout: 60_000 });
      return foreign(wx, phone.clock);
    };
    let submissions = 0;
    phone.fate = ({ url, method }) => (method === "POST" && url.endsWith("/v1/jobs") && (submissions += 1) === 2 ? fate : "ok");
    void start()(append("tea"));
    await time.until(() => submissions === 2);
    phone.kill();
    let job: Job | undefined;
    void start()(append("tea")).then((ended) => (job = ended));
    await time.until(() => job !== undefined);
    assert.deepEqual([job!.status, service.ledger.length], ["succeeded", 1]);
  });
}
