// Request ids: UUIDs of version 7, whose first 48 bits are the time.

/** Ids are a user's own and no secret: what `Math.random` gives is enough for 74 bits that differ. */
const random = (digits: number): string => (digits > 0 ? Math.floor(Math.random() * 16).toString(16) + random(digits - 1) : "");

/** A new id of that time. */
export function requestId(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  const variant = "89ab"[Math.floor(Math.random() * 4)];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random(3)}-${variant}${random(3)}-${random(12)}`;
}

/** The time of an id. */
export const timeOf = (id: string): number => parseInt(id.replace("-", "").slice(0, 12), 16);
