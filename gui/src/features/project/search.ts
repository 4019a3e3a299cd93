/** What the address of a project's overview holds. */

import { textsIn } from "@/lib/address";

export interface OverviewSearch {
  /** The metrics that are drawn; without: the main one. */
  metrics?: string[];
}

export function parseOverviewSearch(raw: Record<string, unknown>): OverviewSearch {
  const metrics = textsIn(raw["metrics"]);
  return metrics === undefined || metrics.length === 0 ? {} : { metrics };
}
