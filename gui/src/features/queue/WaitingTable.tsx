import { useQueryClient } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, ArrowUpToLine, ChevronsUp, CircleStop, GripVertical } from "lucide-react";
import { type DragEvent, useState } from "react";

import { type Move, moveJob, refresh, stopJob } from "@/api/actions";
import type { QueuedRow } from "@/api/types";
import { IconButton } from "@/components/Button";
import { type Head, Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { complain } from "@/components/Toasts";
import { useNow } from "@/lib/clock";
import { formatDuration, shortId } from "@/lib/format";
import { askedFor } from "@/lib/resources";

import styles from "./QueuePage.module.css";
import { JobName, ProjectName } from "./RunningTable";

const DRAGGED = "application/x-atlas-job";
const HEADS: readonly (string | Head)[] = [
  { title: "Place", silent: true },
  "Job",
  "Project",
  "Why it waits",
  "Resources",
  "Waiting for",
  "Priority",
  { title: "Actions", silent: true },
];

/** Waiting jobs in the order of their turns: moved by hand or with the buttons. `several`: of several users. */
export function WaitingTable({ jobs, several }: { jobs: readonly QueuedRow[]; several: boolean }) {
  const client = useQueryClient();
  const now = useNow(false);
  const [over, setOver] = useState<string | null>(null);
  const move = (job: string, to: Move) =>
    moveJob(job, to).then(
      () => refresh(client, "queue"),
      (error: unknown) => complain("It was not moved", error),
    );
  const stop = (job: QueuedRow) =>
    stopJob(job.job_id).then(
      () => refresh(client, "queue", "server"),
      (error: unknown) => complain("It was not stopped", error),
    );
  const dropped = (event: DragEvent, before: string) => {
    event.preventDefault();
    setOver(null);
    const job = event.dataTransfer.getData(DRAGGED);
    if (job && job !== before) void move(job, { before });
  };
  return (
    <Table label="Waiting jobs" stacked heads={several ? [...HEADS.slice(0, 6), "User", ...HEADS.slice(6)] : HEADS}>
      {jobs.map((job, index) => {
        const name = job.name ?? shortId(job.job_id);
        return (
          <tr
            key={job.job_id}
            className={styles["waiting"]}
            data-over={over === job.job_id || undefined}
            data-testid="waiting-job"
            onDragOver={(event) => {
              if (!event.dataTransfer.types.includes(DRAGGED)) return;
              event.preventDefault();
              setOver(job.job_id);
            }}
            onDragLeave={() => setOver(null)}
            onDrop={(event) => dropped(event, job.job_id)}
          >
            <td className={`${styles["place"]} ${cells["spare"]}`}>
              <span className={styles["handle"]} draggable aria-hidden onDragStart={(event) => event.dataTransfer.setData(DRAGGED, job.job_id)}>
                <GripVertical size={15} />
              </span>
              {job.position}
            </td>
            <td>
              <JobName job={job} />
            </td>
            <td>
              <ProjectName project={job.project} />
            </td>
            <td className={`${styles["why"]} ${cells["wide"]}`}>{job.waits_because ?? "It starts next."}</td>
            <td className={`${cells["nowrap"]} num`}>{askedFor(job)}</td>
            <td className={`${cells["nowrap"]} num`}>{formatDuration(now - job.submitted_at)}</td>
            {several && <td>{job.user}</td>}
            <td className={`${cells["nowrap"]} ${several ? "" : cells["spare"]} num`}>
              {job.priority}
              {several && (
                <IconButton label={`Raise the priority of ${name}`} small onClick={() => void move(job.job_id, { priority: job.priority + 1 })}>
                  <ChevronsUp aria-hidden />
                </IconButton>
              )}
            </td>
            <td>
              <div className={styles["tools"]}>
                <IconButton label={`Move ${name} to the front`} small disabled={index === 0} onClick={() => void move(job.job_id, { to: "front" })}>
                  <ArrowUpToLine aria-hidden />
                </IconButton>
                <IconButton label={`Move ${name} up`} small disabled={index === 0} onClick={() => void move(job.job_id, { before: jobs[index - 1]?.job_id ?? "" })}>
                  <ArrowUp aria-hidden />
                </IconButton>
                <IconButton
                  label={`Move ${name} down`}
                  small
                  disabled={index === jobs.length - 1}
                  onClick={() => void move(jobs[index + 1]?.job_id ?? "", { before: job.job_id })}
                >
                  <ArrowDown aria-hidden />
                </IconButton>
                <IconButton label={`Stop ${name}`} small onClick={() => void stop(job)}>
                  <CircleStop aria-hidden style={{ color: "var(--bad)" }} />
                </IconButton>
              </div>
            </td>
          </tr>
        );
      })}
    </Table>
  );
}
