import type { ComponentChildren } from "preact";
import type { JobLine } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { duration, shortJob, visible } from "../text/format.ts";
import { t } from "../text/text.ts";
import { JobLink, StatusBadge, UserLink } from "./basics.tsx";

const codeOf = (job: JobLine) => (typeof job.error === "string" ? job.error : job.error?.code);

/** Jobs, one on each line; on a narrow screen one below the other. */
export function JobTable(props: { jobs: JobLine[]; caption: string; over?: boolean; ofOne?: boolean; action?: (job: JobLine) => ComponentChildren }) {
  const { jobs, over, ofOne, action } = props;
  return (
    <div class="table-box">
      <table>
        <caption class="unseen">{props.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t("field.job")}</th>
            <th scope="col">{t("field.status")}</th>
            <th scope="col">{t("field.tool")}</th>
            {over && <th scope="col">{t("field.code")}</th>}
            {!ofOne && <th scope="col">{t("field.user")}</th>}
            <th scope="col" class="number">{t("field.age")}</th>
            {action && <th scope="col"><span class="unseen">{t("field.action")}</span></th>}
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.job}>
              <td data-label={t("field.job")}><JobLink job={job.job}><code title={job.job}>{shortJob(visible(job.job))}</code></JobLink></td>
              <td data-label={t("field.status")}><StatusBadge status={job.status} /></td>
              <td data-label={t("field.tool")}><code>{visible(job.tool)}</code></td>
              {over && <td data-label={t("field.code")}>{codeOf(job) === undefined ? "–" : <code>{visible(codeOf(job) ?? "")}</code>}</td>}
              {!ofOne && <td data-label={t("field.user")}><UserLink user={job.user_id} /></td>}
              <td data-label={t("field.age")} class="number" title={job.created_at}>
                {duration(now.value - Date.parse(job.created_at))}
              </td>
              {action && <td class="last">{action(job)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
