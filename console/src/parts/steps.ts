import type { JobStep, JobView } from "../api/shapes.ts";

/** What a step calls, or with whom it talks. */
export const nameOf = (step: JobStep | undefined): string => step?.tool ?? step?.agent ?? "";

/** What a job is about now: the step at the cursor, or the last one when all are done. */
export const atCursor = (view: JobView): JobStep | undefined => view.steps[view.cursor] ?? view.steps.at(-1);

/** The step whose call is, or was, asked about. The cursor may have moved on since. */
export const askedOf = (view: JobView): JobStep | undefined => (view.approval ? view.steps[view.approval.place] : undefined);

/** Its number as people count: `2` for what was submitted, `2.1` for what an agent made of it. */
export const numberOf = (step: JobStep): string => (step.round === 0 ? String(step.step + 1) : `${step.step + 1}.${step.round}`);

/** Whether it is worth a line of its own: a single call says all that there is to say of it on one. */
export const isPlain = (view: JobView): boolean => view.steps.length === 1 && view.steps[0]?.kind === "call";
