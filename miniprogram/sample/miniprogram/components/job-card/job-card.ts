import type { JobView } from "../../view/job-view";

/** The state of one request. Events: `again`, `cancel`, `review`. */
Component({
  options: { styleIsolation: "apply-shared" },
  properties: {
    view: { type: Object, value: {} as Partial<JobView> },
    t: { type: Object, value: {} },
    /** Offers a new request where that is safe. */
    repeatable: { type: Boolean, value: false },
  },
  methods: {
    again() {
      this.triggerEvent("again");
    },
    cancel() {
      this.triggerEvent("cancel");
    },
    review() {
      this.triggerEvent("review", { id: this.data.view.id });
    },
  },
});
