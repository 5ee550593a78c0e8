import type { Field } from "../../view/form";

/** The inputs of a tool. Event `enter`: `{name, value}`. */
Component({
  options: { styleIsolation: "apply-shared" },
  properties: {
    fields: { type: Array, value: [] as Field[] },
    t: { type: Object, value: {} },
  },
  data: {
    /** What a picker shows, by the name of its field: pickers do not show what was chosen by themselves. */
    chosen: {} as Record<string, number>,
  },
  methods: {
    enter({ currentTarget, detail }: WechatMiniprogram.CustomEvent<{ value: string | boolean }>) {
      this.triggerEvent("enter", { name: currentTarget.dataset["name"] as string, value: detail.value });
    },
    choose({ currentTarget, detail }: WechatMiniprogram.CustomEvent<{ value: string }>) {
      const name = currentTarget.dataset["name"] as string;
      this.setData({ chosen: { ...this.data.chosen, [name]: Number(detail.value) } });
      this.triggerEvent("enter", { name, value: Number(detail.value) });
    },
  },
});
