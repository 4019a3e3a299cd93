/** Which columns stand where and how wide: from the address, or as the reader left them. */

import { useCallback, useMemo, useState } from "react";

import { keep, recall } from "@/lib/storage";

import { type Column, type Group, NAME } from "./columns";
import type { JobsSearch } from "./search";

const GROUPS: Record<Group, string> = { job: "Job", params: "Parameters", metrics: "Metrics", tags: "Tags" };

export const SELECT_WIDTH = 38;

export interface Placed extends Column {
  /** The place of its left edge among the pinned ones; null: it scrolls. */
  left: number | null;
  width: number;
}

export interface Layout {
  shown: Placed[];
  nameWidth: number;
  total: number;
  /** Runs of columns of one group, for the upper row of the head. */
  groups: { title: string; width: number; pinned: boolean }[];
  resize: (id: string, width: number) => void;
}

/** Columns in sight, pinned ones first. */
export function useLayout(columns: readonly Column[], search: JobsSearch, project: string): Layout {
  const [widths, setWidths] = useState<Record<string, number>>(() => recall(`widths.${project}`, {}));
  const resize = useCallback(
    (id: string, width: number) =>
      setWidths((old) => {
        const now = { ...old, [id]: Math.round(Math.max(56, Math.min(900, width))) };
        keep(`widths.${project}`, now);
        return now;
      }),
    [project],
  );
  return useMemo(() => {
    const ids = search.cols ?? usualColumns(columns);
    const byId = new Map(columns.map((column) => [column.id, column]));
    const pinned = new Set(search.pin ?? []);
    const wanted = ids.flatMap((id) => byId.get(id) ?? []);
    const ordered = [...wanted.filter((column) => pinned.has(column.id)), ...wanted.filter((column) => !pinned.has(column.id))];
    const nameWidth = widths["name"] ?? (window.innerWidth < 720 ? 150 : NAME.width);
    let left = SELECT_WIDTH + nameWidth;
    const shown = ordered.map((column): Placed => {
      const width = widths[column.id] ?? column.width;
      const placed = { ...column, width, left: pinned.has(column.id) ? left : null };
      left += width;
      return placed;
    });
    return { shown, nameWidth, total: left, groups: runs(shown), resize };
  }, [columns, search.cols, search.pin, widths, resize]);
}

/** What is shown, as the server exports it: the job's ID and name first, and each tag in a column of its own. */
export function exportedColumns(shown: readonly Column[], all: readonly Column[]): string[] {
  const tags = all.filter((column) => column.group === "tags").map((column) => column.id);
  return [...new Set(["id", "name", "state", ...shown.flatMap((column) => (column.id === "tags" ? tags : [column.id]))])];
}

export function usualColumns(columns: readonly Column[]): string[] {
  return columns.filter((column) => column.usual).map((column) => column.id);
}

function runs(shown: readonly Placed[]): Layout["groups"] {
  const found: Layout["groups"] = [];
  for (const column of shown) {
    const last = found.at(-1);
    const title = GROUPS[column.group];
    const pinned = column.left !== null;
    if (last?.title === title && last.pinned === pinned) last.width += column.width;
    else found.push({ title, width: column.width, pinned });
  }
  return found;
}
