/** A failure: title, what happened, what to do, and a button where a new request is safe. */
Component({
  options: { styleIsolation: "apply-shared" },
  properties: {
    /** A `Notice`, or null. */
    notice: { type: null, value: null },
    againText: { type: String, value: "" },
  },
  methods: {
    again() {
      this.triggerEvent("again");
    },
  },
});
