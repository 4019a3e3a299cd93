/** What the address of the projects page holds. */

import { textIn } from "@/lib/address";

export const ORDERS = {
  active: "Last activity",
  name: "Name",
  jobs: "Number of jobs",
  created: "Newest",
} as const;

export type ProjectOrder = keyof typeof ORDERS;

export interface ProjectsSearch {
  find?: string;
  sort?: ProjectOrder;
  archived?: boolean;
}

export function parseProjectsSearch(raw: Record<string, unknown>): ProjectsSearch {
  const found: ProjectsSearch = {};
  found.find = textIn(raw["find"]);
  if (typeof raw["sort"] === "string" && raw["sort"] in ORDERS) found.sort = raw["sort"] as ProjectOrder;
  if (raw["archived"] === true) found.archived = true;
  return found;
}
