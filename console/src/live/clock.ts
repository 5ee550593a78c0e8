/** The service's time: expiries are by its clock, not by this machine's. */
import { signal } from "@preact/signals";

/** How far the service's clock is ahead of this machine's. */
let aheadMs = 0;

/** The service's time now, updated every second while the page is visible. */
export const now = signal(Date.now());

export function serverNow(): number {
  return Date.now() + aheadMs;
}

/** Takes the `Date` of an answer, which is cut to whole seconds: half a second is the best guess for what was cut off. */
export function heardFromServer(date: string | null): void {
  const at = Date.parse(date ?? "");
  if (!Number.isNaN(at) && Math.abs(at + 500 - serverNow()) > 1500) {
    aheadMs = at + 500 - Date.now();
    now.value = serverNow();
  }
}

/** Starts the ticking. Ends with the page. */
export function startClock(): void {
  const tick = () => {
    if (!document.hidden) now.value = serverNow();
  };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}
