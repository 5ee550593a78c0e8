// Chinese and English, and how large the user has set WeChat's texts.
export type Language = "zh" | "en";

/** The language of the app for a setting of WeChat such as `zh_CN`. */
export function languageOf(setting: string | undefined): Language {
  return setting === undefined || /^zh/i.test(setting) ? "zh" : "en";
}

/** WeChat's text size of a user who has changed nothing, in px. */
const STANDARD_PX = 17;

/** By how much texts grow: between 1 and 1.8, so that a sentence still fits a screen. */
export function scaleOf(fontSizeSetting: number | undefined): number {
  return Math.min(1.8, Math.max(1, (fontSizeSetting ?? STANDARD_PX) / STANDARD_PX));
}
