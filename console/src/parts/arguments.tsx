/**
 * Arguments as the service shows them. Each value has a cell of its own, so that no text in one can pass for another field;
 * every text is a text node; characters that could hide or reorder text are escaped.
 */
import type { Json } from "../api/shapes.ts";
import { visible } from "../text/format.ts";
import { t } from "../text/text.ts";

export function Arguments({ value }: { value: Json }) {
  if (typeof value !== "object" || value === null) return <Scalar value={value} />;
  const entries: [string, Json][] = Array.isArray(value) ? value.map((one, i) => [String(i + 1), one]) : Object.entries(value);
  if (entries.length === 0) return <span class="nothing">{t(Array.isArray(value) ? "args.empty_list" : "args.none")}</span>;
  return (
    <dl class={`args${Array.isArray(value) ? " list" : ""}`}>
      {entries.map(([name, one]) => (
        <div key={name}>
          <dt><bdi>{visible(name)}</bdi></dt>
          <dd><Arguments value={one} /></dd>
        </div>
      ))}
    </dl>
  );
}

function Scalar({ value }: { value: null | boolean | number | string }) {
  if (typeof value === "string") {
    return value === "" ? <span class="nothing">{t("args.empty_text")}</span> : <bdi class="value text" dir="ltr">{visible(value)}</bdi>;
  }
  return <span class={`value ${value === null ? "null" : typeof value}`}>{String(value)}</span>;
}
