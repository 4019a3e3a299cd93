/** What the address of a comparison holds. */

import { textsIn } from "@/lib/address";

export interface CompareSearch {
  jobs: string[];
  metric?: string;
}

export const MOST = 50;

export function parseCompareSearch(raw: Record<string, unknown>): CompareSearch {
  const jobs = Array.isArray(raw["jobs"]) ? (textsIn(raw["jobs"]) ?? []) : typeof raw["jobs"] === "string" ? raw["jobs"].split(",") : [];
  const found: CompareSearch = { jobs: [...new Set(jobs)].slice(0, MOST) };
  if (typeof raw["metric"] === "string" && raw["metric"]) found.metric = raw["metric"];
  return found;
}
