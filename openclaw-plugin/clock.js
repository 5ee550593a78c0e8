/** The only clocks of the plugin, in milliseconds: the wall's, and one that only runs on. Tests replace both. */
export const clock = { now: () => Date.now(), elapsed: () => performance.now() };
