/** Which jobs of a table are selected: some by their IDs, or all that the query finds. */

import { useCallback, useMemo, useRef, useState } from "react";

import type { JobRow } from "@/api/types";

import type { Rows } from "./useRows";

export interface Chosen {
  /** All that fit, whether they were loaded or not. */
  everything: boolean;
  count: number;
  jobs: readonly JobRow[];
  has: (jobId: string) => boolean;
  toggle: (job: JobRow, index: number) => void;
  extend: (from: number, to: number, rows: Rows) => void;
  /** From the row that was ticked last. */
  extendTo: (index: number, rows: Rows) => void;
  all: (total: number) => void;
  clear: () => void;
}

export function useChosen(): Chosen {
  const [picked, setPicked] = useState<ReadonlyMap<string, JobRow>>(new Map());
  const [everything, setEverything] = useState(0);
  const anchor = useRef(0);

  const toggle = useCallback((job: JobRow, index: number) => {
    anchor.current = index;
    setEverything(0);
    setPicked((old) => {
      const now = new Map(old);
      if (!now.delete(job.job_id)) now.set(job.job_id, job);
      return now;
    });
  }, []);
  const extend = useCallback((from: number, to: number, rows: Rows) => {
    setEverything(0);
    setPicked((old) => {
      const now = new Map(old);
      for (let index = Math.min(from, to); index <= Math.max(from, to); index += 1) {
        const job = rows.row(index);
        if (job) now.set(job.job_id, job);
      }
      return now;
    });
  }, []);
  const extendTo = useCallback((index: number, rows: Rows) => extend(anchor.current, index, rows), [extend]);
  const all = useCallback((total: number) => {
    setPicked(new Map());
    setEverything(total);
  }, []);
  const clear = useCallback(() => {
    setPicked(new Map());
    setEverything(0);
  }, []);

  return useMemo(
    () => ({
      everything: everything > 0,
      count: everything || picked.size,
      jobs: [...picked.values()],
      has: (jobId: string) => everything > 0 || picked.has(jobId),
      toggle,
      extend,
      extendTo,
      all,
      clear,
    }),
    [everything, picked, toggle, extend, extendTo, all, clear],
  );
}
