/** The only clocks of the plugin, in milliseconds: the wall clock, and a monotonic one. Tests replace both. */
export const clock = { now: () => Date.now(), elapsed: () => performance.now() };
