import { useEffect, useState } from "preact/hooks";
import type { Anchor } from "../api/shapes.ts";
import { verify, type Verdict, type What } from "../audit/chain.ts";
import { t } from "../text/text.ts";
import { Icon } from "./icon.tsx";

/** Checks a chain whenever it has changed. */
export function useVerdict(what: What): Verdict | undefined {
  const [verdict, setVerdict] = useState<Verdict>();
  useEffect(() => {
    let current = true;
    void verify(what).then((found) => {
      if (current) setVerdict(found);
    });
    return () => {
      current = false;
    };
  }, [JSON.stringify(what)]);
  return verdict;
}

/** The result of the verification of a chain. */
export function VerdictNote({ verdict, anchor }: { verdict: Verdict | undefined; anchor?: Anchor | undefined | "not-asked" }) {
  if (!verdict) return <p class="verdict" role="status">{t("verdict.checking")}</p>;
  if (!verdict.ok) {
    return (
      <div class="verdict bad" role="alert">
        <Icon name="broken" size={28} />
        <div>
          <strong>{t("verdict.broken", { place: verdict.place })}</strong>
          <p>{t(`verdict.${verdict.fault}`, { place: verdict.place, before: verdict.place - 1 })}</p>
        </div>
      </div>
    );
  }
  return (
    <div class="verdict good" role="status">
      <Icon name="shield" size={28} />
      <div>
        <strong>{t(verdict.length === 1 ? "verdict.whole_one" : "verdict.whole", { n: verdict.length })}</strong>
        {anchor !== "not-asked" && (
          <p>
            {anchor && verdict.anchored === "yes"
              ? t("verdict.anchored", { seq: anchor.checkpoint, length: anchor.length })
              : t("verdict.unanchored")}
          </p>
        )}
      </div>
    </div>
  );
}
