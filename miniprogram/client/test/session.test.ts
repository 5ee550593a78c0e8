// Logins, and what a 401 leads to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rejection, stand } from "./stand.ts";

const logins = (s: ReturnType<typeof stand>): number => s.phone.sent.filter(({ url, method }) => method === "POST" && url.endsWith("/v1/sessions")).length;

test("many calls at once log in once", async () => {
  const s = stand();
  await s.run(Promise.all([s.client.login(), s.client.login(), s.client.tools(), s.client.agents()]));
  assert.deepEqual([logins(s), s.phone.logins], [1, 1]);
});

test("a session is kept over restarts, until WeChat's own is over", async () => {
  const s = stand();
  const { userId } = await s.run(s.client.login());
  assert.equal(userId, "alice");
  await s.run(s.restart().login());
  assert.equal(logins(s), 1);
  s.phone.sessionHolds = false;
  await s.run(s.restart().login());
  assert.equal(logins(s), 2);
  s.phone.connect(false);
  await s.run(s.restart().login());
  assert.equal(logins(s), 2, "without network the token serves on");
});

test("a 401 logs in once more and repeats the request, and a second one is told", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.service.revoke("alice");
  assert.deepEqual(await s.run(s.client.agents()), [{ name: "main", title: "Assistant" }]);
  assert.equal(logins(s), 2);
  s.phone.fate = ({ url }) => (url.endsWith("/agents") ? { status: 401, after: false, code: "no_session" } : "ok");
  assert.equal((await s.run(rejection(s.client.agents()))).code, "no_session");
  assert.equal(logins(s), 3);
});

test("an erasure carries a fresh code, drops the session and the user's intents, and a later login is a new user's", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.connect(false);
  s.client.submit("ledger_append", { note: "tea" });
  s.phone.connect(true);
  const asked = s.phone.logins;
  const erasure = await s.run(s.client.eraseUser());
  assert.deepEqual([erasure.status, erasure.user_id, s.phone.logins], ["running", "alice", asked + 1]);
  assert.deepEqual(s.restart().open(), []);
  await s.run(s.client.login());
  assert.equal(logins(s), 2, "the session was dropped");
});

test("an erasure that is refused leaves the session and the intents", async () => {
  const s = stand();
  await s.run(s.client.login());
  s.phone.fate = ({ method }) => (method === "DELETE" ? { status: 403, after: false, code: "erasure_other_user" } : "ok");
  assert.equal((await s.run(rejection(s.client.eraseUser()))).code, "erasure_other_user");
  assert.deepEqual([(await s.run(s.client.login())).userId, logins(s)], ["alice", 1]);
});

test("a session that ends soon is renewed before it is used", async () => {
  const s = stand();
  await s.run(s.client.login());
  await s.time.advance(2 * 3_600_000 - 30_000);
  await s.run(s.client.tools());
  assert.equal(logins(s), 2);
});

test("a limited login is not tried again before its time, and intents wait for it", async () => {
  const s = stand();
  s.phone.fates = [{ status: 429, after: false, code: "login_limited", retryAfter: 60 }];
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.advance(1_000);
  assert.equal((await s.run(rejection(s.client.login()))).code, "login_limited");
  assert.equal(handle.error?.code, "login_limited");
  await s.time.advance(58_000);
  assert.equal(s.phone.logins, 1);
  await s.time.until(() => handle.over);
  assert.equal(s.phone.logins, 2);
});

test("a code that was used already is replaced once", async () => {
  const s = stand();
  s.phone.fates = [{ status: 401, after: true, code: "login_code_rejected" }];
  const login = s.client.login();
  await s.time.advance(1_000);
  assert.equal((await login).userId, "alice");
  assert.equal(s.phone.logins, 2);
});

test("a blocked user is told", async () => {
  const s = stand();
  s.phone.fates = [{ status: 403, after: false, code: "login_blocked" }];
  const error = await s.run(rejection(s.client.login()));
  assert.deepEqual([error.code, (error as { retryable?: boolean }).retryable], ["login_blocked", false]);
});

test("codes are asked for at most four times a second", async () => {
  const s = stand();
  s.phone.fate = ({ url }) => (url.endsWith("/sessions") ? { status: 503, after: false, code: "wechat_unavailable" } : "ok");
  for (let tap = 0; tap < 20; tap += 1) {
    s.client.show();
    void rejection(s.client.login());
    await s.time.advance(100);
  }
  assert.ok(s.phone.logins <= 8, `${s.phone.logins} in two seconds`);
});

test("logout ends the session at the service and on the phone", async () => {
  const s = stand();
  await s.run(s.client.login());
  await s.run(s.client.logout());
  assert.equal(s.service.sessions.size, 0);
  await s.run(s.client.tools());
  assert.equal(logins(s), 2);
});

test("after a logout open intents do not log in by themselves, and go on when the user is back", async () => {
  const s = stand();
  s.service.tookMs = 5_000;
  const handle = s.client.submit("ledger_append", { note: "tea" });
  await s.time.until(() => handle.status === "queued");
  await s.run(s.client.logout());
  await s.time.advance(600_000);
  assert.equal(logins(s), 1);
  s.client.show();
  await s.time.until(() => handle.over, 5_000);
  assert.deepEqual([handle.status, logins(s)], ["succeeded", 2]);
});
