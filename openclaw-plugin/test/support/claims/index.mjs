import { calls } from "./calls.mjs";
import { fence } from "./fence.mjs";
import { keys } from "./keys.mjs";

/**
 * What holds on every gateway. Each claim gets a client and needs no restart, so that the same code judges the real
 * gateway and its stand-in.
 */
export const claims = { ...calls, ...keys, ...fence };

export { bareClaims } from "./bare.mjs";
