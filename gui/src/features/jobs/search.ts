/** What the address of a table of jobs holds: a view that can be sent to others. */

import { textIn, textsIn } from "@/lib/address";

export const PANELS = ["none", "parallel", "scatter", "time", "curves", "groups"] as const;

export type PanelKind = (typeof PANELS)[number];

export interface JobsSearch {
  /** The text of the query box. */
  q?: string;
  /** Columns to sort by, `-` for downwards. */
  sort?: string[];
  /** The columns shown, in their order; without: all of them. */
  cols?: string[];
  pin?: string[];
  panel?: PanelKind;
  /** What is brushed in the plot: a condition for the table, not for the plot. */
  brush?: string;
  /** The axes of a plot. */
  axes?: string[];
}

export function parseJobsSearch(raw: Record<string, unknown>): JobsSearch {
  const found: JobsSearch = {};
  found.q = textIn(raw["q"]);
  for (const name of ["sort", "cols", "pin", "axes"] as const) {
    found[name] = textsIn(raw[name]);
  }
  if (PANELS.includes(raw["panel"] as PanelKind) && raw["panel"] !== "none") found.panel = raw["panel"] as PanelKind;
  if (typeof raw["brush"] === "string" && raw["brush"]) found.brush = raw["brush"];
  return found;
}
