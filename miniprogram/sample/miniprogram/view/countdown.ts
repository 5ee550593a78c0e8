// The time that is left to decide, by the service's clock: a phone's clock may be wrong by hours.
export interface Countdown {
  /** As `9:05`, or `1:02:09`. */
  text: string;
  over: boolean;
  /** Less than a minute is left. */
  soon: boolean;
}

export function countdown(expiresAt: string, serverNowMs: number): Countdown {
  const seconds = Math.max(0, Math.floor((Date.parse(expiresAt) - serverNowMs) / 1000));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const text = hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  return { text, over: seconds === 0, soon: seconds < 60 };
}

/** A time of the service in the phone's own zone: `11-29 14:05`. */
export function timeOf(timestamp: string): string {
  const at = new Date(timestamp);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
