/** What the address of a job's page holds. */

import { textIn } from "@/lib/address";

export const TABS = ["overview", "metrics", "logs", "artifacts", "code", "system"] as const;

export type JobTab = (typeof TABS)[number];

export interface JobSearch {
  tab?: JobTab;
  /** The artifact or the file that is shown. */
  show?: string;
  of?: "code" | "results";
  /** The job that the code is compared with. */
  against?: string;
  /** A line of the log, from 1. */
  line?: number;
  attempt?: number;
}

export function parseJobSearch(raw: Record<string, unknown>): JobSearch {
  const found: JobSearch = {};
  if (TABS.includes(raw["tab"] as JobTab) && raw["tab"] !== "overview") found.tab = raw["tab"] as JobTab;
  found.show = textIn(raw["show"]);
  if (raw["of"] === "results") found.of = "results";
  found.against = textIn(raw["against"]);
  for (const name of ["line", "attempt"] as const) {
    const value = Number(raw[name]);
    if (Number.isInteger(value) && value > 0) found[name] = value;
  }
  return found;
}
