import { Link } from "@tanstack/react-router";

import type { JobDetails } from "@/api/types";
import { Panel } from "@/components/Panel";
import { shortId } from "@/lib/format";

/** Which jobs had other code than the first, with the way to the differences. */
export function CodeCompared({ jobs }: { jobs: readonly JobDetails[] }) {
  const first = jobs[0];
  const others = jobs.slice(1).filter((job) => job.bundle !== first?.bundle);
  if (first === undefined) return null;
  const name = first.name ?? shortId(first.job_id);
  return (
    <Panel title="Code">
      {others.length === 0 ? (
        <p style={{ color: "var(--ink-2)" }}>All jobs ran the same code.</p>
      ) : (
        <ul style={{ display: "grid", gap: 6 }}>
          {others.map((job) => (
            <li key={job.job_id}>
              <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} search={{ tab: "code", against: first.job_id }}>
                {job.name ?? shortId(job.job_id)} against {name}
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
