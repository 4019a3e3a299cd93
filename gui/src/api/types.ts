/** What the server answers, as docs/api.md describes it. */

import type { JobState } from "@/lib/states";

export interface Metric {
  /** A number, or text such as NaN. */
  value: number | string;
  step: number | null;
  time: number;
  count: number;
  min: number | null;
  max: number | null;
  best: number | null;
}

export interface Resources {
  cpus: number;
  memory: number | null;
  gpus: number;
}

export interface JobRow {
  job_id: string;
  project: string;
  name: string | null;
  user: string;
  state: JobState;
  reason: string | null;
  message: string | null;
  exit_code: number | null;
  priority: number;
  resources: Resources;
  params: Record<string, unknown>;
  command: string[];
  entrypoint: string[] | null;
  attempts: number;
  retries: number;
  timeout: number | null;
  submitted_at: number;
  not_before: number | null;
  started_at: number | null;
  finished_at: number | null;
  bundle: string;
  usage: Record<string, number> | null;
  notes: string | null;
  rerun_of: string | null;
  tags: Record<string, string>;
  metrics: Record<string, Metric>;
}

export interface JobPage {
  total: number;
  offset: number;
  seq: number;
  jobs: JobRow[];
}

export interface QueuedRow extends JobRow {
  position: number;
  waits_because: string | null;
}

export interface Artifact {
  key: string;
  version: number;
  filename: string;
  digest: string;
  size: number;
  folder: boolean;
  step: number | null;
  created_at: number;
  type: string;
}

export interface JobFile {
  path: string;
  kind: "f" | "x" | "l" | "d";
  size: number;
  digest: string | null;
  target: string | null;
  type: string;
}

export interface HistoryEntry {
  time: number;
  kind: string;
  state?: string;
  reason?: string | null;
  attempt?: number;
}

export interface Attempt {
  number: number;
  executor: string;
  allocation: { node?: string; cpus?: number; memory?: number; gpus?: unknown[] };
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  exit_code: number | null;
  reason: string | null;
  message: string | null;
  usage: Record<string, number> | null;
}

export interface JobDetails extends JobRow {
  artifacts: Artifact[];
  history: HistoryEntry[];
  spec: Record<string, unknown>;
  environment: Record<string, unknown> | null;
  outputs: string | null;
  attempt_list: Attempt[];
  log_size: number;
  jobs_ahead?: number;
  waits_because?: string | null;
}

export interface FieldInfo {
  name: string;
  type: "text" | "word" | "number" | "time" | "duration" | "bytes";
  note: string;
}

export interface Columns {
  jobs: number;
  fields: FieldInfo[];
  params: { name: string; jobs: number; numbers: number; texts: number; others: number }[];
  metrics: { name: string; jobs: number; numbers: number; goal: "min" | "max" }[];
  tags: { name: string; jobs: number }[];
}

export interface ColumnValues {
  column: string;
  min: number | null;
  max: number | null;
  values: { value: unknown; jobs: number }[];
  more: boolean;
}

export type Cell = number | string | boolean | null;

export interface Values {
  total: number;
  jobs: string[];
  names: (string | null)[];
  states: string[];
  columns: Record<string, Cell[]>;
}

export interface Groups {
  groups: {
    by: Cell[];
    jobs: number;
    metrics: Record<string, { jobs: number; mean: number; deviation: number | null; min: number; max: number }>;
  }[];
  more: boolean;
}

export interface Curve {
  job_id: string;
  metric: string;
  count: number;
  last: number;
  sampled: boolean;
  seq: number[];
  step: (number | null)[];
  time: number[];
  value: (number | string)[];
  marks: { seq: number; step: number | null; time: number; value: string; count: number }[];
}

export interface QueryProblem {
  message: string;
  hint: string | null;
  position: number;
  length: number;
  suggestions: string[];
}

export interface QueryCheck {
  valid: boolean;
  error: QueryProblem | null;
  columns: string[];
  sort: string[];
  without_sort: string;
}

export interface Completion {
  start: number;
  end: number;
  words: { text: string; kind: "column" | "operator" | "value" | "keyword"; note: string }[];
}

export interface BulkResult {
  action: string;
  dry_run: boolean;
  matched: number;
  done: string[];
  refused: { job_id: string; message: string }[];
  refused_total: number;
}

export interface LogLines {
  attempt: number;
  first: number;
  offset: number;
  lines: string[];
  cut: number[];
  total_lines: number;
  size: number;
}

export interface LogMatches {
  attempt: number;
  matches: { line: number; offset: number; start: number; end: number; text: string }[];
  next: number | null;
}

export interface Project {
  name: string;
  created_at: number;
  archived_at: number | null;
  description: string;
  jobs: Record<string, number>;
  last_submitted_at: number | null;
  last_active_at: number | null;
  metric: string | null;
  goals: Record<string, "min" | "max">;
  best: { metric: string; goal: "min" | "max"; value: number; job_id: string } | null;
}

export interface Note {
  id: number;
  author: string;
  body: string;
  created_at: number;
  edited_at: number | null;
}

export interface Queue {
  running: JobRow[];
  queued: QueuedRow[];
  total_queued: number;
}

export interface Gpu {
  uuid: string;
  index: number;
  name: string;
  memory: number;
}

export interface Node {
  name: string;
  state: string;
  cpus: number;
  memory: number;
  gpus: Gpu[];
  used: { cpus: number; memory: number; gpus: string[] };
  live: {
    time: number;
    cpu_percent: number;
    load: number;
    memory_used: number;
    memory_total: number;
    disk_used: number;
    disk_total: number;
    gpus: { uuid: string; percent: number | null; memory_used: number; memory_total: number; watts: number | null }[];
  } | null;
  jobs: { job_id: string; project: string; name: string | null; user: string; cpus: number; memory: number; gpus: string[] }[];
}

export interface ServerFacts {
  version: string;
  home: string;
  jobs: Record<string, number>;
}

export interface Difference {
  jobs: [string, string];
  [section: string]: unknown;
}
