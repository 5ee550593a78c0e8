import { language, THEMES, theme } from "../style/preferences.ts";
import { t } from "../text/text.ts";
import { Icon } from "./icon.tsx";

/** The switches of language and theme, on every screen. */
export function PreferenceSwitches() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
  const other = language.value === "en" ? "zh" : "en";
  return (
    <>
      <button type="button" class="quiet" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => { language.value = other; }}>
        {other === "zh" ? "中文" : "English"}
      </button>
      <button type="button" class="quiet" onClick={() => { theme.value = next; }}
        aria-label={t("theme.switch", { now: t(`theme.${theme.value}`), next: t(`theme.${next}`) })}
        title={t("theme.switch", { now: t(`theme.${theme.value}`), next: t(`theme.${next}`) })}>
        <Icon name={theme.value} />
      </button>
    </>
  );
}
