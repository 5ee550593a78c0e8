import { type PageWith, appearance, pageBehavior } from "../../page-behavior";
import { service } from "../../service";
import { Call } from "./call";
import { Talk } from "./talk";

const CONVERSATION = "sample:conversation";

type Page = PageWith<{ conversation: string }, { talk: Talk; call: Call }>;
type Entered = WechatMiniprogram.CustomEvent<{ name: string; value: string }>;

Component({
  behaviors: [pageBehavior],
  data: {
    tab: "talk", draft: "", sendPresets: [{ name: "send", type: "icon" }], notifies: false,
    exchanges: [], agents: [], agentTitle: "", conversation: "", busy: false, talkNotice: null,
    tools: [], tool: null, fields: [], call: null, callNotice: null,
  },
  methods: {
    onLoad(this: Page) {
      const set = (data: Record<string, unknown>): void => {
        const news = Object.keys(data).some((path) => path.startsWith("exchanges["));
        this.setData(data);
        if (news) wx.nextTick(() => this.selectComponent("#list")?.["scrollToBottom"]());
      };
      this.talk = new Talk(service(), appearance.language, set, wx.getStorageSync(CONVERSATION) as string);
      this.call = new Call(service(), appearance.language, set);
      wx.setStorageSync(CONVERSATION, this.data.conversation);
      void this.talk.load();
      void this.call.load();
    },
    onShow(this: Page) {
      // The history page may have chosen another conversation.
      const wanted = wx.getStorageSync(CONVERSATION) as string;
      if (wanted && wanted !== this.data.conversation) this.talk.begin(wanted);
    },
    onUnload(this: Page) {
      this.talk.leave();
      this.call.leave();
    },
    turnTo(this: Page, { currentTarget }: WechatMiniprogram.TouchEvent) {
      this.setData({ tab: currentTarget.dataset["tab"] });
    },

    write(this: Page, { detail }: Entered) {
      this.setData({ draft: detail.value });
    },
    send(this: Page, { detail }: Entered) {
      if (this.talk.send(detail.value)) this.setData({ draft: "" });
    },
    stop(this: Page) {
      this.talk.stop();
    },
    sayAgain(this: Page, { currentTarget }: WechatMiniprogram.TouchEvent) {
      this.talk.again(currentTarget.dataset["key"] as string);
    },
    chooseAgent(this: Page, { detail }: Entered) {
      this.talk.choose(Number(detail.value));
      wx.setStorageSync(CONVERSATION, this.data.conversation);
    },
    beginAnew(this: Page) {
      const name = `c-${Math.floor(service().now() / 1000).toString(36)}`;
      this.talk.begin(name);
      wx.setStorageSync(CONVERSATION, name);
    },

    chooseTool(this: Page, { currentTarget }: WechatMiniprogram.TouchEvent) {
      this.call.choose(currentTarget.dataset["name"] as string);
    },
    otherTool(this: Page) {
      this.call.back();
    },
    enter(this: Page, { detail }: Entered) {
      this.call.enter(detail.name, detail.value);
    },
    submit(this: Page) {
      this.call.submit();
    },
    submitAndTell(this: Page) {
      this.call.submitAndTell();
    },
    anew(this: Page) {
      this.call.anew();
    },
    cancelCall(this: Page) {
      this.call.cancel();
    },
    reload(this: Page) {
      void this.talk.load();
      void this.call.load();
    },

    review({ detail }: WechatMiniprogram.CustomEvent<{ id: string }>) {
      wx.navigateTo({ url: `/pages/confirm/confirm?id=${detail.id}` });
    },
    reviewTurn({ currentTarget }: WechatMiniprogram.TouchEvent) {
      wx.navigateTo({ url: `/pages/confirm/confirm?id=${String(currentTarget.dataset["id"])}` });
    },
  },
});
