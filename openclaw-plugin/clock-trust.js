// Whether the wall clock may be believed when something is to be deleted. Pure. A machine may start in 1970, or be told a
// time that lies months ahead; whatever is deleted by such a clock is forgotten, and what is forgotten may run again.

/** A difference from which on a clock is not believed at once. */
export const JUMP_MS = 86_400_000;
/** How long the gateway has to run with a clock that has jumped before it is believed. */
export const CONFIRM_MS = 86_400_000;
// What the wall clock may differ from the one that only runs on, between two looks.
const DRIFT_MS = 600_000;

/**
 * Takes what the journal keeps of the clock, `{accepted, suspect}`, and a look at both: `now`, and `ran`, the time that
 * this process has run since its look before. Returns what to keep, and whether to believe `now`. `accepted` is the last
 * time that was believed; `suspect` is `{now, ran}` while another one waits for its confirmation.
 *
 * A clock is believed when it shows less than a day's difference from the last time that was believed, in either
 * direction; or when it has shown the other time for a day in which the gateway ran, restarts not counted.
 */
export function judgeClock({ accepted, suspect }, { now, ran }) {
  if (Math.abs(now - accepted) < JUMP_MS) return { isTrusted: true, accepted: now, suspect: null };
  // How long a gateway was down between two processes is unknown.
  const allowed = ran === 0 ? JUMP_MS : DRIFT_MS;
  const goesOn = suspect !== null && Math.abs(now - (suspect.now + ran)) < allowed;
  const held = goesOn ? suspect.ran + ran : 0;
  if (held >= CONFIRM_MS) return { isTrusted: true, accepted: now, suspect: null };
  return { isTrusted: false, accepted, suspect: { now, ran: held } };
}
