/** The code that a user reads to an operator. A touch copies it. */
Component({
  options: { styleIsolation: "apply-shared" },
  properties: {
    code: { type: String, value: "" },
    label: { type: String, value: "" },
    copyText: { type: String, value: "" },
    copiedText: { type: String, value: "" },
  },
  methods: {
    copy() {
      const { code, copiedText } = this.data;
      wx.setClipboardData({ data: code, success: () => wx.showToast({ title: copiedText, icon: "none" }) });
    },
  },
});
