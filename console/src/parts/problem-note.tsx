import type { Problem } from "../api/problem.ts";
import { named } from "../text/text.ts";
import { visible } from "../text/format.ts";
import { t } from "../text/text.ts";

/** The text of an error: this page's text for its code in the reader's language, else the API's. */
export function sentence(problem: Problem): string {
  const ours = named("problem", problem.code);
  if (ours !== problem.code) return ours;
  return problem.title ? visible(problem.title) : t("problem.unnamed");
}

export function ProblemNote({ problem }: { problem: Problem }) {
  return (
    <div class="note bad" role="alert">
      <p>{sentence(problem)}</p>
      {problem.detail && <p class="small">{visible(problem.detail)}</p>}
      <p class="small"><code>{visible(problem.code)}</code>{problem.status > 0 && ` · HTTP ${problem.status}`}</p>
    </div>
  );
}
