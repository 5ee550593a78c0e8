import { useState } from "preact/hooks";
import { current } from "../session/session.ts";
import { visible } from "../text/format.ts";
import { t } from "../text/text.ts";
import { announce } from "./announce.tsx";
import { Confirm } from "./dialog.tsx";

/** Records the outcome of an unknown write. Nothing is sent again. */
export function Resolve(props: { job: string; tool: string; onDone: () => void; onClose: () => void }) {
  const [happened, setHappened] = useState<boolean>();
  return (
    <Confirm title={t("resolve.title")} note="needed" confirm={t("resolve.confirm")} onClose={props.onClose}
      blocked={happened === undefined ? t("resolve.choose") : undefined}
      onConfirm={async (note) => {
        if (happened === undefined) return;
        await current().api.resolve(props.job, happened, note);
        announce(t("resolve.said"));
        props.onDone();
      }}>
      <p>{t("resolve.hint")}</p>
      <dl class="pairs">
        <div><dt>{t("field.tool")}</dt><dd><code>{visible(props.tool)}</code></dd></div>
        <div><dt>{t("field.job")}</dt><dd><code class="whole">{visible(props.job)}</code></dd></div>
      </dl>
      <fieldset class="choice">
        <legend>{t("resolve.question")}</legend>
        {([true, false] as const).map((one) => (
          <label key={String(one)}>
            <input type="radio" name="happened" checked={happened === one} onChange={() => setHappened(one)} />
            <span>{t(one ? "resolve.happened" : "resolve.not_happened")}</span>
          </label>
        ))}
      </fieldset>
    </Confirm>
  );
}
