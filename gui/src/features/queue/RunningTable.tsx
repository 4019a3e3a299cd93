import { Link } from "@tanstack/react-router";

import type { PlainJob } from "@/api/types";
import { Duration } from "@/components/Duration";
import { Status } from "@/components/Status";
import { formatBytes, formatNumber, plural, shortId } from "@/lib/format";

import styles from "./QueuePage.module.css";

export function RunningTable({ jobs }: { jobs: readonly PlainJob[] }) {
  return (
    <div className={styles["table"]}>
      <table>
        <thead>
          <tr>
            <th>Job</th>
            <th>Project</th>
            <th>State</th>
            <th>For</th>
            <th>Resources</th>
            <th>User</th>
          </tr>
        </thead>
        <tbody>
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
              </td>
              <td className={`${styles["nowrap"]} num`}>
                <Duration job={job} />
              </td>
              <td className={`${styles["nowrap"]} num`}>{resourcesOf(job)}</td>
              <td>{job.user}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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

export function resourcesOf(job: Pick<PlainJob, "resources">): string {
  const { cpus, memory, gpus } = job.resources;
  return [`${formatNumber(cpus)} ${cpus === 1 ? "CPU" : "CPUs"}`, gpus > 0 && plural(gpus, "GPU"), memory !== null && formatBytes(memory)].filter(Boolean).join(", ");
}
