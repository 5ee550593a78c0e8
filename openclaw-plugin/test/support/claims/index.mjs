import { calls } from "./calls.mjs";
import { fence } from "./fence.mjs";
import { keys } from "./keys.mjs";
import { turnEnds } from "./turn-ends.mjs";
import { turnFence } from "./turn-fence.mjs";
import { turns } from "./turns.mjs";

/**
 * Claims about every gateway. Each gets a client and needs no restart, so that the same code tests the real
 * gateway and its stand-in.
 */
export const claims = { ...calls, ...keys, ...fence, ...turns, ...turnEnds, ...turnFence };

export { bareClaims } from "./bare.mjs";
