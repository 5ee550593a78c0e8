/** Theme, language and single keys: the only settings that this page stores in the browser. */
import { effect, signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

/** A browser may refuse its storage; then settings are lost at a reload. */
function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Kept until the page is closed.
  }
}

export const theme = signal<Theme>(THEMES.find((one) => one === kept("theme")) ?? "auto");
export const language = signal<Language>(
  LANGUAGES.find((one) => one === kept("language")) ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"),
);
export const shortcuts = signal(kept("shortcuts") !== "off");

/** Whether the page is dark now, by the user's choice or the system's. */
export const dark = signal(false);

export function applyPreferences(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const apply = () => {
    const chosen = theme.value;
    if (chosen === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = chosen;
    dark.value = chosen === "dark" || (chosen === "auto" && system.matches);
  };
  system.addEventListener("change", apply);
  effect(() => {
    apply();
    keep("theme", theme.value);
  });
  effect(() => {
    root.lang = language.value === "zh" ? "zh-CN" : "en";
    keep("language", language.value);
  });
  effect(() => keep("shortcuts", shortcuts.value ? "on" : "off"));
}
