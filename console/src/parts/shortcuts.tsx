import { useEffect, useState } from "preact/hooks";
import { shortcuts } from "../style/preferences.ts";
import { go, type Screen } from "../route.ts";
import { t, type Key } from "../text/text.ts";
import { Dialog } from "./dialog.tsx";

/** The second keys after `g`. */
const PLACES: Record<string, Screen> = { w: "waiting", r: "running", p: "wrong", s: "switches", c: "charts", a: "audit" };
/** Maximum time between the two keys. */
const PAIR_MS = 1500;

const LIST: [string[], Key][] = [
  [["j", "k"], "keys.next"],
  [["a"], "keys.approve"],
  [["r"], "keys.reject"],
  [["Enter"], "keys.open"],
  [["/"], "keys.search"],
  [["g", "w"], "nav.waiting"],
  [["g", "r"], "nav.running"],
  [["g", "p"], "nav.wrong"],
  [["g", "s"], "nav.switches"],
  [["g", "c"], "nav.charts"],
  [["g", "a"], "nav.audit"],
  [["?"], "keys.help"],
];

export function ShortcutList() {
  return (
    <dl class="keys">
      {LIST.map(([keys, text]) => (
        <div key={text}><dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{t(text)}</dd></div>
      ))}
    </dl>
  );
}

/** Keyboard shortcuts of every screen, except while a text field has the focus or a dialog is open. */
export function Shortcuts() {
  const [help, setHelp] = useState(false);
  useEffect(() => {
    let pair = 0;
    const pressed = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      if (!shortcuts.value || event.ctrlKey || event.metaKey || event.altKey || target.closest("input,textarea,select,dialog")) return;
      const place = Date.now() - pair < PAIR_MS ? PLACES[event.key] : undefined;
      pair = event.key === "g" ? Date.now() : 0;
      if (place) {
        // The second key of a pair is not also a key of the card in focus.
        event.stopPropagation();
        go(place === "wrong" ? { at: "wrong", tab: "unknown" } : { at: place });
      } else if (event.key === "/") {
        event.preventDefault();
        document.getElementById("search")?.focus();
      } else if (event.key === "?") setHelp(true);
    };
    document.addEventListener("keydown", pressed, true);
    return () => document.removeEventListener("keydown", pressed, true);
  }, []);
  if (!help) return null;
  return (
    <Dialog title={t("keys.title")} onClose={() => setHelp(false)}>
      <ShortcutList />
      <div class="actions"><button type="button" data-first onClick={() => setHelp(false)}>{t("dialog.close")}</button></div>
    </Dialog>
  );
}
