import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientError, Job } from "openclaw-miniprogram-client";
import { Call } from "../../miniprogram/pages/ask/call.ts";
import { Talk } from "../../miniprogram/pages/ask/talk.ts";
import { Decide } from "../../miniprogram/pages/confirm/decide.ts";
import { Lists } from "../../miniprogram/pages/history/lists.ts";
import { StandInClient, pageData } from "./stand-in-client.ts";

const error = (code: string, more: object = {}): ClientError => Object.assign(new Error(code), { code, retryable: false }, more) as unknown as ClientError;
const steps = (step: object): Job["steps"] => [{ kind: "turn", agent: "main", step: 0, round: 0, ...step }] as Job["steps"];

test("a message shows its progress, then the partial reply, then the reply with its mark", () => {
  const [service, page] = [new StandInClient(), pageData()];
  const talk = new Talk(service.client, "en", page.set);
  assert.equal(talk.send("  hello "), true);
  const [handle] = service.handles;
  const last = (): any => page.data["exchanges"][0];
  assert.deepEqual([last().said[0].data, last().status, page.data["busy"]], ["hello", "pending", true]);
  const at = "2026-11-29T09:00:00.000Z";
  handle!.move({ job: { status: "running", steps: steps({ progress: [{ at, doing: "thinking" }, { at, doing: "tool", tool: "ledger_read", state: "done" }] }) } });
  assert.deepEqual(last().answer, [{ type: "thinking", data: { title: "ledger_read (done)", text: "Thinking → ledger_read (done)" } }]);
  handle!.move({ job: { steps: steps({ partial: "Good mor" }) } });
  assert.deepEqual([last().view.reply, last().view.partial, last().status], ["Good mor", true, "streaming"]);
  handle!.move({ job: { status: "succeeded", result: { reply: "Good **morning** ![x](http://e.example)" }, steps: steps({ outcome: "succeeded" }) }, over: true });
  assert.deepEqual([last().status, last().view.partial, page.data["busy"]], ["complete", false, false]);
  assert.match(last().view.reply, /^Good \*\*morning\*\* \\!\\\[x/);
});

test("two equal messages are two intents, and one that was not kept stays in the input", () => {
  const [service, page] = [new StandInClient(), pageData()];
  const talk = new Talk(service.client, "en", page.set);
  talk.send("yes");
  talk.send("yes");
  assert.equal(service.handles.length, 2);
  service.failure = error("outbox_full");
  assert.equal(talk.send("third"), false);
  assert.equal(page.data["talkNotice"].kind, "limited");
});

test("what was asked before a restart is shown again, in its conversation only", () => {
  const service = new StandInClient();
  service.say("mine", { intent: "1", conversation: "c-1" });
  service.say("other", { intent: "2", conversation: "c-2" });
  const page = pageData();
  new Talk(service.client, "en", page.set, "c-1");
  assert.deepEqual(page.data["exchanges"].map(({ said }: any) => said[0].data), ["mine"]);
});

test("however often submit is touched, a form is one intent; another form is another", async () => {
  const [service, page] = [new StandInClient(), pageData()];
  const call = new Call(service.client, "en", page.set);
  await call.load();
  call.choose("pay");
  call.submit();
  assert.ok(page.data["fields"][0].error, "nothing was entered");
  call.enter("amount", "12");
  call.submit();
  call.submit();
  assert.equal(service.handles.length, 1);
  // The second touch of a double tap meets the buttons that have taken the form's place.
  call.cancel();
  call.anew();
  assert.deepEqual([service.handles[0]!.calls, page.data["call"] !== null], [[], true]);
  service.nowMs += 1000;
  call.cancel();
  assert.deepEqual(service.handles[0]!.calls, ["cancel"]);
  call.anew();
  call.enter("amount", "12");
  call.submit();
  assert.equal(service.handles.length, 2);
});

test("a message is asked for within the touch that submits, and the job names it whatever the user answers", async () => {
  const [service, page] = [new StandInClient(), pageData()];
  const call = new Call(service.client, "en", page.set);
  await call.load();
  assert.equal(page.data["notifies"], true);
  call.choose("pay");
  call.enter("amount", "12");
  call.submitAndTell();
  assert.deepEqual(service.asked, ["job_update"]);
  assert.equal(service.handles[0]!.submission?.notify, "job_update");
});

test("what the service finds wrong brings the form back, and the corrected one is a new intent", async () => {
  const [service, page] = [new StandInClient(), pageData()];
  const call = new Call(service.client, "en", page.set);
  await call.load();
  call.choose("pay");
  call.enter("amount", "12");
  call.submit();
  service.handles[0]!.move({ error: error("arguments_invalid", { effect: "not_run", problem: { errors: [{ pointer: "/amount", message: "too much" }] } }), over: true });
  assert.deepEqual([page.data["call"], page.data["fields"][0].error, page.data["fields"][0].value], [null, "too much", "12"]);
  call.submit();
  assert.equal(service.handles.length, 2);
});

test("a yes is sent once, however often the button is touched, and only while there is time", async () => {
  const [service, page] = [new StandInClient(), pageData()];
  const decide = new Decide(service.client, "en", page.set, "id-0");
  const [handle] = service.handles;
  const approval = { place: 0, approver: "user", digest: "d", title: "Pay", summary: "Pay 3", arguments: { amount: 3 }, expires_at: "2026-11-29T09:01:30.000Z" } as const;
  handle!.move({ job: { status: "awaiting_approval", approval } });
  assert.deepEqual([page.data["approval"].open, page.data["approval"].left], [true, "1:30"]);
  await Promise.all([decide.decide(true), decide.decide(true)]);
  assert.deepEqual(handle!.calls, ["approve"]);
  service.nowMs += 60_000;
  decide.tick();
  assert.deepEqual([page.data["approval"].left, page.data["approval"].soon], ["0:30", true]);
  service.nowMs += 31_000;
  decide.tick();
  assert.equal(page.data["approval"].open, false);
});

test("an operator's approval offers nothing to touch", () => {
  const [service, page] = [new StandInClient(), pageData()];
  new Decide(service.client, "en", page.set, "id-0");
  const approval = { place: 0, approver: "operator", digest: "d", title: "Pay", summary: "Pay 700", arguments: {}, expires_at: "2026-11-29T10:00:00.000Z" } as const;
  service.handles[0]!.move({ job: { status: "awaiting_approval", approval } });
  assert.deepEqual([page.data["approval"].open, page.data["view"].theirs, page.data["view"].mine], [false, true, false]);
});

test("the list goes on at its cursor, shows no request twice, and keeps what it has when the network goes", async () => {
  const [service, page] = [new StandInClient(), pageData()];
  const job = (id: string): object => ({ request_id: id, status: "succeeded", steps: [], support_code: "S", created_at: "2026-11-29T09:00:00.000Z", updated_at: "" });
  service.jobs = ({ cursor }) => Promise.resolve(cursor ? { jobs: [job("b"), job("c")] } : { jobs: [job("a"), job("b")], next_cursor: "x" });
  const lists = new Lists(service.client, "en", page.set);
  await lists.load("requests");
  assert.equal(page.data["moreRequests"], true);
  await Promise.all([lists.load("requests", true), lists.load("requests", true)]);
  assert.deepEqual(page.data["requests"].map(({ key }: any) => key), ["a", "b", "c"]);
  assert.equal(page.data["moreRequests"], false);
  service.jobs = () => Promise.reject(error("offline"));
  await lists.load("requests");
  assert.deepEqual([page.data["requests"].length, page.data["listNotice"].kind], [3, "offline"]);
});
