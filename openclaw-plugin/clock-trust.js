// Whether the wall clock may be trusted when rows are to be deleted. Pure. A machine may start in 1970, or its clock may be set
// months ahead; a key that is deleted because of such a clock could run again.

/** Minimum difference from the last trusted time at which the clock is not trusted at once. */
export const JUMP_MS = 86_400_000;
/** How long the gateway has to run after a jump before the clock is trusted. */
export const CONFIRM_MS = 86_400_000;
// Tolerated difference between wall clock and monotonic clock, between two readings.
const DRIFT_MS = 600_000;

/**
 * Takes the stored state of the clock, `{accepted, suspect}`, and a reading of both clocks: `now`, and `ran`, the time that
 * this process has run since its previous reading. Returns the state to store, and whether to trust `now`. `accepted` is the last
 * trusted time; `suspect` is `{now, ran}` while another time waits for its confirmation.
 *
 * A clock is trusted when it differs by less than a day from the last trusted time, in either
 * direction; or when it has been consistent for a day in which the gateway ran, restarts not counted.
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
