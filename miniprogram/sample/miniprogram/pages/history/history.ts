import { type PageWith, appearance, pageBehavior } from "../../page-behavior";
import { service } from "../../service";
import { textsOf } from "../../view/texts";
import { Lists } from "./lists";

const CONVERSATION = "sample:conversation";

type Tab = "requests" | "conversations";
type Page = PageWith<{ tab: Tab }, { lists: Lists }>;

Component({
  behaviors: [pageBehavior],
  data: { tab: "requests", requests: [], conversations: [], moreRequests: false, moreConversations: false, loaded: false, listNotice: null },
  methods: {
    onLoad(this: Page) {
      this.lists = new Lists(service(), appearance.language, (data) => this.setData(data));
    },
    onShow(this: Page) {
      void this.lists.load(this.data.tab);
    },
    onPullDownRefresh(this: Page) {
      void this.lists.load(this.data.tab).then(() => wx.stopPullDownRefresh());
    },
    onReachBottom(this: Page) {
      void this.lists.load(this.data.tab, true);
    },
    more(this: Page) {
      void this.lists.load(this.data.tab, true);
    },
    turnTo(this: Page, { currentTarget }: WechatMiniprogram.TouchEvent) {
      const tab = currentTarget.dataset["tab"] as Tab;
      this.setData({ tab });
      void this.lists.load(tab);
    },
    look({ currentTarget }: WechatMiniprogram.TouchEvent) {
      wx.navigateTo({ url: `/pages/job/job?id=${String(currentTarget.dataset["id"])}` });
    },
    goOn({ currentTarget }: WechatMiniprogram.TouchEvent) {
      wx.setStorageSync(CONVERSATION, currentTarget.dataset["name"]);
      wx.switchTab({ url: "/pages/ask/ask" });
    },
    remove(this: Page, { currentTarget }: WechatMiniprogram.TouchEvent) {
      const t = textsOf(appearance.language);
      const name = currentTarget.dataset["name"] as string;
      wx.showModal({
        title: t.forget, content: t.delete_sure, confirmText: t.delete, cancelText: t.keep,
        success: ({ confirm }) => void (confirm && this.lists.remove(name)),
      });
    },
  },
});
