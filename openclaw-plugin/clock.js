/** The only clock of the plugin. Tests replace `now`. */
export const clock = { now: () => Date.now() };
