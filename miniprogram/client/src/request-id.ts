// Request ids: UUIDs of version 7, whose first 48 bits are the time.

/** A new id of that time. Ids are a user's own and no secret: what `Math.random` gives is enough for 74 bits that differ. */
export function requestId(ms: number): string {
  const time = Math.floor(Math.max(0, ms)).toString(16).padStart(12, "0");
  // `x` is any digit, `y` has the two bits of the variant.
  const random = (place: string): string => Math.floor(place === "x" ? Math.random() * 16 : 8 + Math.random() * 4).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}` + "-7xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, random);
}

/** The time of an id. */
export const timeOf = (id: string): number => parseInt(id.replace("-", "").slice(0, 12), 16);
