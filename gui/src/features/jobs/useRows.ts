/** The rows of a table in windows: what is in sight is read, and what changes is read again. */

import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef } from "react";

import { useFeed } from "@/api/feed";
import { listing, type Selection } from "@/api/queries";
import type { JobPage, JobRow } from "@/api/types";

export const WINDOW = 100;

export interface Rows {
  total: number | undefined;
  /** The row at a place of the whole list; undefined while it is on its way. */
  row: (index: number) => JobRow | undefined;
  loaded: readonly JobRow[];
  error: unknown;
  /** What is shown is of the selection before. */
  stale: boolean;
  retry: () => void;
}

/** `first` and `last` are places of rows in sight; `columns` what of params, metrics and tags to read, once that is `known`. */
export function useRows(selection: Selection, columns: readonly string[] | undefined, first: number, last: number, known: boolean): Rows {
  const client = useQueryClient();
  const key = useMemo(() => ["rows", selection, columns ?? null], [selection, columns]);
  const windows = useMemo(() => {
    const from = Math.floor(Math.max(0, first) / WINDOW);
    const to = Math.floor(Math.max(0, last) / WINDOW);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  }, [first, last]);
  const answers = useQueries({
    queries: windows.map((window) => ({
      queryKey: [...key, window],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        listing(selection, { offset: window * WINDOW, limit: WINDOW, ...(columns ? { columns } : {}) }, signal),
      staleTime: 5_000,
      enabled: known,
    })),
  });
  useLiveRows(key, selection, columns);

  // While another selection is on its way the rows before stay in sight.
  const before = useRef<{ pages: Map<number, JobPage>; total: number | undefined }>({ pages: new Map(), total: undefined });
  const fresh = new Map<number, JobPage>();
  answers.forEach((answer, index) => {
    if (answer.data) fresh.set(windows[index] as number, answer.data);
  });
  const arrived = fresh.size > 0;
  const pages = arrived ? fresh : before.current.pages;
  const total = arrived ? [...fresh.values()].at(-1)?.total : before.current.total;
  useEffect(() => {
    if (arrived) before.current = { pages, total };
  });

  const pagesRef = pages;
  const row = useCallback((index: number) => pagesRef.get(Math.floor(index / WINDOW))?.jobs[index % WINDOW], [pagesRef]);
  const loaded = useMemo(() => [...pagesRef.values()].flatMap((page) => page.jobs), [pagesRef]);
  return {
    total,
    row,
    loaded,
    error: answers.find((answer) => answer.error !== null && !answer.data)?.error ?? null,
    stale: !arrived && before.current.total !== undefined,
    retry: () => void client.invalidateQueries({ queryKey: ["rows"] }),
  };
}

/** Jobs that logged something are read by their IDs and put in place; moves of jobs change the list itself. */
function useLiveRows(key: readonly unknown[], selection: Selection, columns: readonly string[] | undefined): void {
  const client = useQueryClient();
  const recorded = useRef(new Set<string>());
  useFeed(
    (change) => change.kind === "jobs",
    () => void client.invalidateQueries({ queryKey: ["rows"] }),
    800,
  );
  useFeed(
    (change) => {
      if (change.kind !== "recorded") return false;
      for (const id of change.jobs) recorded.current.add(id);
      return true;
    },
    () => {
      const cached = client.getQueriesData<JobPage>({ queryKey: key, type: "active" });
      const shown = new Set(cached.flatMap(([, page]) => page?.jobs.map((job) => job.job_id) ?? []));
      const ids = [...recorded.current].filter((id) => shown.has(id));
      recorded.current.clear();
      if (ids.length === 0) return;
      void listing({ project: selection.project }, { ids, limit: ids.length, ...(columns ? { columns } : {}) }).then((page) => {
        const news = new Map(page.jobs.map((job) => [job.job_id, job]));
        for (const [at] of cached) {
          client.setQueryData<JobPage>(at, (old) => old && { ...old, jobs: old.jobs.map((job) => news.get(job.job_id) ?? job) });
        }
      }, () => undefined /* the next change reads them again */);
    },
    1000,
  );
}
