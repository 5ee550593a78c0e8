/** What changes by itself is told to those who do not see it. */
import { signal } from "@preact/signals";

const polite = signal("");
const assertive = signal("");

export function announce(text: string, urgent = false): void {
  const region = urgent ? assertive : polite;
  // The same sentence twice is two events: an empty region between them makes it so.
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
