/** The columns that a table of jobs can have. */

import type { ReactNode } from "react";

import type { Columns, JobRow } from "@/api/types";
import { Duration } from "@/components/Duration";
import { Tag } from "@/components/Tag";
import { useNow } from "@/lib/clock";
import { formatAgo, formatDate, formatMemory, formatNumber, formatValue } from "@/lib/format";
import { columnName } from "@/lib/query";

import styles from "./JobsTable.module.css";

export type Group = "job" | "params" | "metrics" | "tags";

export interface Column {
  /** As the query language names it. */
  id: string;
  title: string;
  group: Group;
  width: number;
  numeric: boolean;
  /** What the server can sort and filter by; all but tags as a whole. */
  sortable: boolean;
  filter: "number" | "duration" | "size" | "word" | "text" | "time" | "tag" | null;
  cell: (job: JobRow) => ReactNode;
  /** Whether a metric is to become small or large. */
  goal?: "min" | "max" | undefined;
  /** Shown unless the reader chose otherwise. */
  usual: boolean;
}

const MANY_PARAMS = 16;
const MANY_METRICS = 12;

/** Every column of a project, its main metric before the others; which are usual depends on how many there are. */
export function columnsOf(known: Columns | undefined, main?: string | null): Column[] {
  const params = [...(known?.params ?? [])].sort((a, b) => b.jobs - a.jobs || a.name.localeCompare(b.name));
  const metrics = [...(known?.metrics ?? [])].sort((a, b) => Number(b.name === main) - Number(a.name === main) || b.jobs - a.jobs || a.name.localeCompare(b.name));
  return [
    ...FIXED,
    ...params.map(({ name, numbers, texts, others }, index) => paramColumn(name, numbers > 0 && texts + others === 0, index < MANY_PARAMS)),
    ...metrics.map(({ name, goal }, index) => ({ ...metricColumn(name, index < MANY_METRICS), goal })),
    ...(known?.tags ?? []).map(({ name }) => tagColumn(name)),
  ];
}

function paramColumn(name: string, numeric: boolean, usual: boolean): Column {
  return {
    id: columnName("params", name),
    title: name,
    group: "params",
    width: widthFor(name, numeric ? 72 : 100),
    numeric,
    sortable: true,
    filter: numeric ? "number" : "word",
    usual,
    cell: (job) => valueCell(job.params[name]),
  };
}

function metricColumn(name: string, usual: boolean): Column {
  return {
    id: columnName("metrics", name),
    title: name,
    group: "metrics",
    width: widthFor(name, 84),
    numeric: true,
    sortable: true,
    filter: "number",
    usual,
    cell: (job) => valueCell(job.metrics[name]?.value),
  };
}

function tagColumn(name: string): Column {
  return {
    id: columnName("tags", name),
    title: name,
    group: "tags",
    width: widthFor(name, 96),
    numeric: false,
    sortable: true,
    filter: "word",
    usual: false,
    cell: (job) => (job.tags[name] === undefined ? null : job.tags[name] || "✓"),
  };
}

function widthFor(name: string, least: number): number {
  return Math.round(Math.min(156, Math.max(least, name.length * 6.9 + 26)));
}

function valueCell(value: unknown): ReactNode {
  const text = formatValue(value);
  const full = typeof value === "number" ? String(value) : text;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return <span className={styles["odd"]}>{text}</span>;
  return full !== text || text.length > 20 ? <span title={full}>{text}</span> : text;
}

function fixed(id: string, title: string, width: number, cell: Column["cell"], more: Partial<Column> = {}): Column {
  return { id, title, group: "job", width, numeric: false, sortable: true, filter: null, usual: false, cell, ...more };
}

/** The column of names always stands first, and is none of those to choose. */
export const NAME = fixed("name", "Name", 210, (job) => job.name, { filter: "text" });

const FIXED: Column[] = [
  fixed("submitted", "Submitted", 100, (job) => <Ago time={job.submitted_at} />, { usual: true, filter: "time" }),
  fixed("duration", "Duration", 92, (job) => <Duration job={job} />, { usual: true, numeric: true, filter: "duration" }),
  fixed("user", "User", 72, (job) => job.user, { usual: true, filter: "word" }),
  fixed("tags", "Tags", 176, (job) => <Tags tags={job.tags} />, { usual: true, sortable: false, filter: "tag" }),
  fixed("started", "Started", 112, (job) => job.started_at !== null && <Ago time={job.started_at} />, { filter: "time" }),
  fixed("finished", "Finished", 112, (job) => job.finished_at !== null && <Ago time={job.finished_at} />, { filter: "time" }),
  fixed("reason", "Reason", 130, (job) => job.reason?.replaceAll("_", " "), { filter: "word" }),
  fixed("message", "Message", 240, (job) => job.message && <span title={job.message}>{job.message}</span>, { filter: "text" }),
  fixed("notes", "Notes", 240, (job) => job.notes && <span title={job.notes}>{job.notes}</span>, { filter: "text" }),
  fixed("priority", "Priority", 84, (job) => job.priority, { numeric: true, filter: "number" }),
  fixed("cpus", "CPUs", 76, (job) => job.resources.cpus, { numeric: true, filter: "number" }),
  fixed("gpus", "GPUs", 76, (job) => job.resources.gpus, { numeric: true, filter: "number" }),
  fixed("memory", "Memory", 96, (job) => job.resources.memory !== null && formatMemory(job.resources.memory), { numeric: true, filter: "size" }),
  fixed("attempts", "Attempts", 92, (job) => job.attempts, { numeric: true, filter: "number" }),
  fixed("exit_code", "Exit code", 92, (job) => job.exit_code, { numeric: true, filter: "number" }),
  fixed("command", "Command", 220, (job) => <span className="mono" title={job.command.join(" ")}>{job.command.join(" ")}</span>, { filter: "text" }),
];

function Ago({ time }: { time: number }) {
  const now = useNow(false);
  return (
    <time dateTime={new Date(time * 1000).toISOString()} title={formatDate(time)}>
      {formatAgo(time, now)}
    </time>
  );
}

const SHOWN_TAGS = 4;

function Tags({ tags }: { tags: Record<string, string> }) {
  const all = Object.entries(tags);
  const rest = all.slice(SHOWN_TAGS);
  return (
    <span className={styles["tags"]}>
      {all.slice(0, SHOWN_TAGS).map(([name, value]) => (
        <Tag key={name} name={name} value={value} />
      ))}
      {rest.length > 0 && <span title={rest.map(([name, value]) => (value ? `${name}=${value}` : name)).join("\n")}>+{rest.length}</span>}
    </span>
  );
}

/** A metric's short description, for tips. */
export function describeMetric(job: JobRow, name: string): string {
  const metric = job.metrics[name];
  if (metric === undefined) return "";
  const range = metric.min !== null && metric.max !== null ? `, between ${formatNumber(metric.min)} and ${formatNumber(metric.max)}` : "";
  return `last of ${metric.count}${range}`;
}
