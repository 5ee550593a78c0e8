/** Announces automatic changes to screen readers. */
import { signal } from "@preact/signals";

const polite = signal("");
const assertive = signal("");

export function announce(text: string, urgent = false): void {
  const region = urgent ? assertive : polite;
  // The region is emptied first, so that the same sentence is announced again.
  region.value = "";
  setTimeout(() => {
    region.value = text;
  }, 50);
}

export function Announcer() {
  return (
    <>
      <div class="unseen" role="status" aria-live="polite">{polite}</div>
      <div class="unseen" role="alert" aria-live="assertive">{assertive}</div>
    </>
  );
}
