import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/problem.ts";
import { isBlank } from "../text/blank.ts";
import { t } from "../text/text.ts";
import { ProblemNote } from "./problem-note.tsx";

/** Maximum length of a note or a reason, as in the API. */
export const NOTE_MAX = 200;

const FOCUSABLE = "button:not([disabled]),input:not([disabled]),select,textarea,a[href],summary,[tabindex='0']";

/** A modal dialog: the rest of the page is inert, Tab stays inside, Escape closes it, and the focus returns to where it was. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const title = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    const dialog = box.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      else document.getElementById("main")?.focus();
    };
  }, []);
  const round = (event: KeyboardEvent) => {
    if (event.key !== "Tab" || !box.current) return;
    const stops = [...box.current.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((one) => one.offsetParent !== null);
    const [first, last] = [stops[0], stops.at(-1)];
    if (!first || !last) return;
    const leaving = event.shiftKey ? document.activeElement === first : document.activeElement === last;
    if (leaving) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  };
  return (
    <dialog ref={box} class={props.wide ? "wide" : ""} aria-labelledby={title} onKeyDown={round}
      onCancel={(event) => { event.preventDefault(); props.onClose(); }}
      onClick={(event) => { if (event.target === box.current) props.onClose(); }}>
      <div class="dialog-box">
        <h2 id={title}>{props.title}</h2>
        {props.children}
      </div>
    </dialog>
  );
}

export interface Confirmation {
  title: string;
  confirm: string;
  tone?: "good" | "bad" | "plain";
  /** `needed`: the API requires a reason. */
  note: "needed" | "optional";
  /** Why it cannot be confirmed right now. */
  blocked?: string | undefined;
  children?: ComponentChildren;
  onConfirm: (note: string) => Promise<unknown>;
  onClose: () => void;
}

/** The confirmation of an action: shows what will be done, takes the reason, shows an error. */
export function Confirm(props: Confirmation) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const id = useId();
  const ready = !busy && !props.blocked && (props.note === "optional" || !isBlank(note));
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await props.onConfirm(note.trim());
      props.onClose();
    } catch (thrown) {
      setProblem(Problem.from(thrown));
      setBusy(false);
    }
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit}>
        {props.children}
        <label class="field" for={id}>
          <span>{t(props.note === "needed" ? "dialog.reason" : "dialog.note")}</span>
          <input id={id} data-first name="note" autocomplete="off" maxLength={NOTE_MAX} value={note}
            required={props.note === "needed"} aria-describedby={`${id}-hint`}
            onInput={(event) => setNote(event.currentTarget.value)} />
          <small id={`${id}-hint`}>{t("dialog.note_hint")}</small>
        </label>
        {props.blocked && <p class="note bad" role="alert">{props.blocked}</p>}
        {problem && <ProblemNote problem={problem} />}
        <div class="actions">
          <button type="button" onClick={props.onClose}>{t("dialog.cancel")}</button>
          <button type="submit" class={`main ${props.tone ?? "plain"}`} disabled={!ready}>
            {busy ? t("dialog.busy") : props.confirm}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
