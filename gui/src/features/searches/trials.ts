/** What trials come to, for lists and plots. */

import type { SearchDetails, Trial } from "@/api/types";
import type { Cell } from "@/lib/axes";
import { type Brush, isBrushed } from "@/lib/axes";

/** What the parts of the page show: the search, its trials, and the objective that is looked at. */
export interface Shown {
  search: SearchDetails;
  trials: readonly Trial[];
  objective: number;
}

export function scoreOf(trial: Trial, objective: number): number | null {
  return trial.values?.[objective] ?? null;
}

export function cellOf(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  return typeof value === "number" || typeof value === "string" || typeof value === "boolean" ? value : JSON.stringify(value);
}

/** What was searched; what is part of a list or a condition comes as trials have it. */
export function searchedNames(search: SearchDetails, trials: readonly Trial[]): string[] {
  const names = new Set(search.parameters.map((parameter) => parameter.name));
  const seen = new Set(trials.slice(0, 200).flatMap((trial) => Object.keys(trial.params)));
  return seen.size === 0 ? [...names] : [...names].filter((name) => seen.has(name)).concat([...seen].filter((name) => !names.has(name)));
}

/** The best first; those without a score last, the newest first. */
export function ranked(trials: readonly Trial[], objective: number, goal: string): Trial[] {
  const sign = goal === "max" ? -1 : 1;
  const key = (trial: Trial) => {
    const score = trial.state === "completed" ? scoreOf(trial, objective) : null;
    return score === null ? Infinity : sign * score;
  };
  return [...trials].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x === y ? b.number - a.number : x - y;
  });
}

export function fits(trial: Trial, brushes: ReadonlyMap<string, Brush>, valueOf: (trial: Trial, axis: string) => Cell): boolean {
  for (const [axis, brush] of brushes) if (!isBrushed(brush, valueOf(trial, axis))) return false;
  return true;
}

/** `search:` and a name, as the query language wants it. */
export function searchQuery(name: string): string {
  return /^[\w.-]+$/.test(name) ? `search:${name}` : `search:"${name.replaceAll(/["\\]/g, "\\$&")}"`;
}
