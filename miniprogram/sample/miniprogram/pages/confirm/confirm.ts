import { type PageWith, appearance, pageBehavior } from "../../page-behavior";
import { service } from "../../service";
import { Decide } from "./decide";

type Page = PageWith<object, { decide: Decide; clock?: ReturnType<typeof setInterval>; stop(): void }>;

Component({
  behaviors: [pageBehavior],
  data: { view: null, approval: null, deciding: false, decideNotice: null },
  methods: {
    onLoad(this: Page, { id }: { id?: string }) {
      this.decide = new Decide(service(), appearance.language, (data) => this.setData(data), id ?? "");
    },
    onShow(this: Page) {
      this.stop();
      this.clock = setInterval(() => this.decide.tick(), 1000);
    },
    onHide(this: Page) {
      this.stop();
    },
    onUnload(this: Page) {
      this.stop();
      this.decide.leave();
    },
    stop(this: Page) {
      if (this.clock !== undefined) clearInterval(this.clock);
      delete this.clock;
    },
    approve(this: Page) {
      void this.decide.decide(true);
    },
    reject(this: Page) {
      void this.decide.decide(false);
    },
    cancel(this: Page) {
      void this.decide.cancel();
    },
  },
});
