import { Link } from "@tanstack/react-router";

import type { PlacedJob, PlainJob } from "@/api/types";
import { Duration } from "@/components/Duration";
import { Status } from "@/components/Status";
import { Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { shortId } from "@/lib/format";
import { askedFor } from "@/lib/resources";

import styles from "./QueuePage.module.css";

export function RunningTable({ jobs }: { jobs: readonly PlacedJob[] }) {
  return (
    <Table label="Running jobs" stacked heads={["Job", "Project", "State", "For", "Resources", "Node", "User"]}>
      {jobs.map((job) => (
        <tr key={job.job_id}>
          <td>
            <JobName job={job} />
          </td>
          <td>
            <ProjectName project={job.project} />
          </td>
          <td>
            <Status state={job.state} />
            {job.state === "starting" && job.message && <div className={styles["because"]}>{job.message}</div>}
          </td>
          <td className={`${cells["nowrap"]} num`}>
            <Duration job={job} />
          </td>
          <td className={`${cells["nowrap"]} num`}>{askedFor(job)}</td>
          <td className={cells["nowrap"]}>{job.node ?? "–"}</td>
          <td>{job.user}</td>
        </tr>
      ))}
    </Table>
  );
}

export function ProjectName({ project }: { project: string }) {
  return (
    <Link to="/projects/$project/jobs" params={{ project }} className={styles["project"]} title={project}>
      {project}
    </Link>
  );
}

export function JobName({ job }: { job: Pick<PlainJob, "job_id" | "name"> }) {
  return (
    <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} className={styles["name"]} title={job.job_id}>
      {job.name ?? <span className="mono">{shortId(job.job_id)}</span>}
    </Link>
  );
}
