import type { Selection } from "@/api/queries";
import type { JobRow } from "@/api/types";

import type { Column } from "../columns";
import type { JobsSearch } from "../search";

/** What every plot over a table of jobs is given. */
export interface PanelProps {
  selection: Selection;
  columns: readonly Column[];
  search: JobsSearch;
  change: (search: Partial<JobsSearch>) => void;
  /** Selected jobs, else the ones in sight. */
  jobs: readonly JobRow[];
}

export function withId(columns: readonly Column[], id: string | undefined): Column | undefined {
  return columns.find((column) => column.id === id);
}

export function options(columns: readonly Column[]): (readonly [string, string])[] {
  return columns.map((column) => [column.id, column.title] as const);
}

/** Columns that vary are worth an axis. */
export function plottable(columns: readonly Column[]): Column[] {
  return columns.filter((column) => column.group !== "job" || column.id === "duration");
}
