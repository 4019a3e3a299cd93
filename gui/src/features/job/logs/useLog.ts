/** A log by line numbers: windows are read as they come in sight, and the last one again as it grows. */

import { useCallback, useEffect, useRef, useState } from "react";

import { address, get, part } from "@/api/client";
import { listen } from "@/api/stream";
import type { JobDetails, LogLines } from "@/api/types";
import { isFinal } from "@/lib/states";

const WINDOW = 500;
const KEPT = 40;
const PAUSE = 200;

export interface Log {
  attempt: number;
  total: number | undefined;
  size: number;
  lineAt: (index: number) => string | undefined;
  want: (first: number, last: number) => void;
  error: unknown;
}

interface State {
  attempt: number;
  total: number | undefined;
  size: number;
  windows: ReadonlyMap<number, readonly string[]>;
  error: unknown;
}

const EMPTY: State = { attempt: 0, total: undefined, size: 0, windows: new Map(), error: null };

export function useLog(job: JobDetails, attempt: number): Log {
  const [state, setState] = useState<State>(EMPTY);
  const live = useRef({ wanted: new Set<number>(), asked: new Set<number>(), total: 0 });
  const jobId = job.job_id;

  const read = useCallback(
    async (window: number) => {
      const { asked } = live.current;
      if (asked.has(window)) return;
      asked.add(window);
      try {
        const found = await get<LogLines>(`/jobs/${part(jobId)}/log/lines`, { attempt, first: window * WINDOW, count: WINDOW });
        live.current.total = found.total_lines;
        setState((old) => {
          const windows = new Map(old.windows);
          windows.set(window, found.lines);
          for (const other of windows.keys()) if (windows.size > KEPT && !live.current.wanted.has(other)) windows.delete(other);
          return { attempt: found.attempt, total: found.total_lines, size: found.size, windows, error: null };
        });
      } catch (error) {
        setState((old) => ({ ...old, error }));
      } finally {
        asked.delete(window);
      }
    },
    [jobId, attempt],
  );

  const want = useCallback(
    (first: number, last: number) => {
      const wanted = new Set<number>();
      for (let window = Math.floor(Math.max(0, first) / WINDOW); window <= Math.floor(last / WINDOW); window += 1) wanted.add(window);
      live.current.wanted = wanted;
      for (const window of wanted) if (window * WINDOW <= live.current.total) void readMissing(window);
      function readMissing(window: number): Promise<void> | undefined {
        return stateRef.current.windows.has(window) ? undefined : read(window);
      }
    },
    [read],
  );
  const stateRef = useRef(state);
  useEffect(() => {
    stateRef.current = state;
  });

  useEffect(() => {
    setState(EMPTY);
    live.current = { wanted: new Set([0]), asked: new Set(), total: 0 };
    void read(0);
  }, [read]);

  // The job's own stream says when there is more; what it says comes by line numbers like all else.
  const over = isFinal(job.state);
  const begun = state.total !== undefined;
  useEffect(() => {
    if (!begun) return;
    const grow = () => {
      const end = Math.floor(Math.max(0, live.current.total - 1) / WINDOW);
      void read(end).then(() => {
        const now = Math.floor(Math.max(0, live.current.total - 1) / WINDOW);
        for (const window of live.current.wanted) if (window > end && window <= now) void read(window);
      });
    };
    if (over || attempt !== 0) {
      grow();
      return;
    }
    let timer: number | undefined;
    const soon = () => {
      timer ??= window.setTimeout(() => {
        timer = undefined;
        grow();
      }, PAUSE);
    };
    const close = listen(address(`/jobs/${part(jobId)}/stream`, { tail: 0, text: false }), { on: { log: soon }, opened: soon });
    return () => {
      close();
      window.clearTimeout(timer);
    };
  }, [jobId, attempt, over, begun, read, job.attempts]);

  const { windows } = state;
  const lineAt = useCallback((index: number) => windows.get(Math.floor(index / WINDOW))?.[index % WINDOW], [windows]);
  return { attempt: state.attempt, total: state.total, size: state.size, lineAt, want, error: state.error };
}
