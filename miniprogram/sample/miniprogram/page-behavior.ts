// What every page has: its language, its texts, and how large the user wants them.
import { languageOf, scaleOf } from "./view/language";
import { textsOf } from "./view/texts";

/** Kept for the life of the app: WeChat starts the Mini Program anew when the user changes its language or text size. */
export const appearance = ((): { language: ReturnType<typeof languageOf>; scale: number } => {
  const { language, fontSizeSetting } = wx.getAppBaseInfo() as { language?: string; fontSizeSetting?: number };
  return { language: languageOf(language), scale: scaleOf(fontSizeSetting) };
})();

/** `this` of a page: its data, and the logic that it keeps. */
export type PageWith<Data, Own> = Omit<WechatMiniprogram.Component.TrivialInstance, "data"> & { data: Data } & Own;

export const pageBehavior = Behavior({
  data: { t: textsOf(appearance.language), scale: appearance.scale },
});
