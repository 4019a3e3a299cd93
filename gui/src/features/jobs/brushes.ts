/** Brushed stretches of plots as conditions of the query language, and back from the address. */

import type { Brush } from "@/lib/axes";
import { literal, rangeClause } from "@/lib/query";

export type Brushes = ReadonlyMap<string, Brush>;

export function clauseOf(brushes: Brushes): string {
  return [...brushes]
    .map(([id, brush]) =>
      "words" in brush ? `${id} in (${brush.words.map(literal).join(", ")})` : rangeClause(id, endOf(id, brush.low), endOf(id, brush.high)),
    )
    .join(" and ");
}

const TIMES = new Set(["submitted", "started", "finished"]);

/** The end of a stretch; times are written to the second. */
function endOf(id: string, value: number): number | string {
  return TIMES.has(id) ? `${new Date(value * 1000).toISOString().slice(0, 19)}Z` : value;
}

export function writeBrushes(brushes: Brushes): string | undefined {
  return brushes.size === 0 ? undefined : JSON.stringify([...brushes]);
}

/** What the address says; anything else than brushes is none. */
export function readBrushes(text: string | undefined): Brushes {
  if (text === undefined) return new Map();
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? new Map(parsed.filter(isBrush)) : new Map();
  } catch {
    return new Map();
  }
}

function isBrush(entry: unknown): entry is [string, Brush] {
  if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "object" || entry[1] === null) return false;
  const brush = entry[1] as Record<string, unknown>;
  return Array.isArray(brush["words"]) || (typeof brush["low"] === "number" && typeof brush["high"] === "number");
}
