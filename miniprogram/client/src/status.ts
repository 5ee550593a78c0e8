/** Statuses that end a job. Any other, also one that this version does not know, is open. */
const OVER = ["succeeded", "failed", "refused", "explained", "cancelled", "expired", "unknown"];

export const isOver = (status: string): boolean => OVER.includes(status);
