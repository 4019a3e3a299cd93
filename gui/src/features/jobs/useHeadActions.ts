import { useMemo } from "react";

import type { Column } from "./columns";
import type { HeadActions } from "./HeadCell";
import { usualColumns } from "./layout";
import type { JobsSearch } from "./search";

/** What the heads of columns do: all of it ends in the address. */
export function useHeadActions(
  search: JobsSearch,
  columns: readonly Column[],
  change: (part: Partial<JobsSearch>) => void,
  resize: (id: string, width: number) => void,
  filter: (column: Column) => void,
): HeadActions {
  return useMemo(() => {
    const shown = search.cols ?? usualColumns(columns);
    const place = (id: string, at: number) => {
      const others = shown.filter((other) => other !== id);
      change({ cols: [...others.slice(0, at), id, ...others.slice(at)] });
    };
    return {
      sort: (id, direction) => change({ sort: direction === "none" ? undefined : [direction === "descending" ? `-${id}` : id] }),
      filter,
      pin: (id, on) => change({ pin: on ? [...(search.pin ?? []), id] : (search.pin ?? []).filter((other) => other !== id) }),
      hide: (id) => change({ cols: shown.filter((other) => other !== id) }),
      move: (id, beside, after) => place(id, shown.filter((other) => other !== id).indexOf(beside) + (after ? 1 : 0)),
      shift: (id, by) => place(id, Math.max(0, shown.indexOf(id) + by)),
      resize,
    };
  }, [search.cols, search.pin, columns, change, resize, filter]);
}
