import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import type { ReactNode } from "react";

import type { JobDetails } from "@/api/types";
import { IconButton } from "@/components/Button";
import { Panel } from "@/components/Panel";
import { Status } from "@/components/Status";
import { curveColor } from "@/lib/colors";
import { formatDate, formatDuration, formatMemory, formatValue, shortId } from "@/lib/format";
import { useIsDark } from "@/lib/theme";

import styles from "./ComparePage.module.css";

interface Row {
  name: string;
  cells: ReactNode[];
  /** What is compared; the texts of the cells where not given. */
  keys: string[];
  best?: number | undefined;
}

/** Parameters, results and surroundings of all jobs, row by row. */
export function DifferenceTable({ jobs, onlyDifferent, onRemove }: { jobs: readonly JobDetails[]; onlyDifferent: boolean; onRemove: (jobId: string) => void }) {
  const dark = useIsDark();
  const sections: [string, Row[]][] = [
    ["Job", jobRows(jobs)],
    ["Parameters", rowsOf(jobs, (job) => job.params)],
    ["Metrics, last value", metricRows(jobs)],
    ["Tags", rowsOf(jobs, (job) => job.tags)],
    ["Environment", rowsOf(jobs, environmentOf)],
    ["Packages", rowsOf(jobs, (job) => (job.environment?.["packages"] ?? {}) as Record<string, unknown>)],
  ];
  return (
    <Panel title="Differences" flush>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys */}
      <div className={styles["table"]} tabIndex={0} role="region" aria-label="Differences">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span className="hidden">What</span>
              </th>
              {jobs.map((job, index) => (
                <th key={job.job_id} scope="col">
                  <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} className={styles["job"]} title={job.job_id}>
                    <span className={styles["dot"]} style={{ background: curveColor(index, dark), flex: "none" }} />
                    <span>{job.name ?? shortId(job.job_id)}</span>
                  </Link>
                  <IconButton label={`Without ${job.name ?? shortId(job.job_id)}`} small onClick={() => onRemove(job.job_id)}>
                    <X aria-hidden />
                  </IconButton>
                </th>
              ))}
            </tr>
          </thead>
          {sections.map(([title, rows]) => {
            const shown = rows.filter((row) => !onlyDifferent || differs(row));
            if (shown.length === 0) return null;
            return (
              <tbody key={title}>
                <tr className={styles["section"]}>
                  <th scope="rowgroup" colSpan={jobs.length + 1}>
                    {title}
                  </th>
                </tr>
                {shown.map((row) => (
                  <tr key={row.name} className={!onlyDifferent && differs(row) ? styles["differs"] : undefined}>
                    <th scope="row" title={row.name}>
                      {row.name}
                    </th>
                    {row.cells.map((cell, index) => (
                      <td key={index} className={`num ${row.best === index ? styles["best"] : ""}`} title={row.keys[index]}>
                        {cell === "" ? <span style={{ color: "var(--ink-3)" }}>–</span> : cell}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            );
          })}
        </table>
      </div>
    </Panel>
  );
}

function differs(row: Row): boolean {
  return row.keys.some((key) => key !== row.keys[0]);
}

function textRow(name: string, texts: string[]): Row {
  return { name, cells: texts, keys: texts };
}

function jobRows(jobs: readonly JobDetails[]): Row[] {
  return [
    { name: "State", cells: jobs.map((job) => <Status key={job.job_id} state={job.state} />), keys: jobs.map((job) => job.state) },
    textRow("Project", jobs.map((job) => job.project)),
    textRow("User", jobs.map((job) => job.user)),
    textRow("Submitted", jobs.map((job) => formatDate(job.submitted_at))),
    textRow("Duration", jobs.map((job) => (job.started_at !== null && job.finished_at !== null ? formatDuration(job.finished_at - job.started_at) : ""))),
    textRow("CPUs", jobs.map((job) => String(job.resources.cpus))),
    textRow("GPUs", jobs.map((job) => String(job.resources.gpus))),
    textRow("Nodes", jobs.map((job) => String(job.num_nodes))),
    textRow("Memory", jobs.map((job) => (job.resources.memory === null ? "" : formatMemory(job.resources.memory)))),
    textRow("Command", jobs.map((job) => [...(job.entrypoint ?? []), ...job.command].join(" "))),
    textRow("Code", jobs.map((job) => job.bundle.slice(0, 10))),
  ];
}

function rowsOf(jobs: readonly JobDetails[], read: (job: JobDetails) => Record<string, unknown>): Row[] {
  const all = jobs.map(read);
  const names = [...new Set(all.flatMap((values) => Object.keys(values)))].sort();
  return names.map((name) => textRow(name, all.map((values) => (name in values ? formatValue(values[name]) || "✓" : ""))));
}

function metricRows(jobs: readonly JobDetails[]): Row[] {
  const names = [...new Set(jobs.flatMap((job) => Object.keys(job.metrics)))].sort();
  return names.map((name) => {
    const values = jobs.map((job) => job.metrics[name]?.value);
    return { ...textRow(name, values.map(formatValue)), keys: values.map((value) => String(value ?? "")) };
  });
}

/** What was found where it ran, and what it was sent with. */
function environmentOf(job: JobDetails): Record<string, unknown> {
  const { packages: _, ...found } = job.environment ?? {};
  const { origin, worker, environment } = job.spec as { origin?: Record<string, unknown> | null; worker?: Record<string, unknown> | null; environment?: Record<string, unknown> | null };
  const git = (origin?.["git"] ?? {}) as Record<string, unknown>;
  const sent = { "git commit": git["commit"], "git branch": git["branch"], "changed since the commit": git["dirty"], "sent from": origin?.["directory"], image: worker?.["image"] };
  const set = Object.entries(environment ?? {}).map(([name, value]) => [`$${name}`, value] as const);
  return Object.fromEntries([...Object.entries({ ...found, ...sent }), ...set].filter(([, value]) => value != null));
}
