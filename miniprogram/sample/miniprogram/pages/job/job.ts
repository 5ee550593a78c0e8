import { type PageWith, appearance, pageBehavior } from "../../page-behavior";
import { service } from "../../service";
import { Details } from "./details";

type Page = PageWith<object, { details: Details }>;

Component({
  behaviors: [pageBehavior],
  data: { view: null, audit: [], chain: "", detailNotice: null },
  methods: {
    /** A page opens it with `id`, a message of WeChat with `request_id`. */
    onLoad(this: Page, { id, request_id: told }: { id?: string; request_id?: string }) {
      this.details = new Details(service(), appearance.language, (data) => this.setData(data), id ?? told ?? "");
    },
    onUnload(this: Page) {
      this.details.leave();
    },
    cancel(this: Page) {
      void this.details.cancel();
    },
    review({ detail }: WechatMiniprogram.CustomEvent<{ id: string }>) {
      wx.navigateTo({ url: `/pages/confirm/confirm?id=${detail.id}` });
    },
  },
});
