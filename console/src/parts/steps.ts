import type { JobStep, JobView } from "../api/shapes.ts";

/** The tool or the agent of a step. */
export const nameOf = (step: JobStep | undefined): string => step?.tool ?? step?.agent ?? "";

/** The current step of a job: the one at the cursor, or the last one when all are done. */
export const atCursor = (view: JobView): JobStep | undefined => view.steps[view.cursor] ?? view.steps.at(-1);

/** The step of the approval request. The cursor may have moved since. */
export const askedOf = (view: JobView): JobStep | undefined => (view.approval ? view.steps[view.approval.place] : undefined);

/** Its number from 1: `2` for a submitted step, `2.1` for one that an agent added. */
export const numberOf = (step: JobStep): string => (step.round === 0 ? String(step.step + 1) : `${step.step + 1}.${step.round}`);

/** Whether the list of steps is shown: a job of a single call needs none. */
export const isPlain = (view: JobView): boolean => view.steps.length === 1 && view.steps[0]?.kind === "call";
