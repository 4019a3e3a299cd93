/** Looks through a log on the server, from hit to hit. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { get, part } from "@/api/client";
import type { LogMatches } from "@/api/types";
import { complain } from "@/components/Toasts";

const AT_ONCE = 500;
// Answers may be empty where much lies between two hits; so many are asked for in a row.
const MOST_ROUNDS = 40;

interface Found {
  text: string;
  lines: number[];
  next: number | null;
}

const NONE: Found = { text: "", lines: [], next: null };

export function useLogSearch(jobId: string, attempt: number) {
  const [found, setFound] = useState<Found>(NONE);
  const [at, setAt] = useState(0);
  const [busy, setBusy] = useState(false);
  const turn = useRef(0);

  const read = useCallback(
    async (text: string, offset: number): Promise<Pick<Found, "lines" | "next">> => {
      let next: number | null = offset;
      for (let round = 0; next !== null && round < MOST_ROUNDS; round += 1) {
        const page: LogMatches = await get<LogMatches>(`/jobs/${part(jobId)}/log/search`, { text, attempt, offset: next, limit: AT_ONCE });
        if (page.matches.length > 0) return { lines: [...new Set(page.matches.map((match) => match.line))], next: page.next };
        next = page.next;
      }
      return { lines: [], next };
    },
    [jobId, attempt],
  );

  const look = useCallback(
    (text: string) => {
      turn.current += 1;
      const mine = turn.current;
      setAt(0);
      setFound({ ...NONE, text });
      if (text === "") return;
      setBusy(true);
      read(text, 0)
        .then(
          (page) => turn.current === mine && setFound({ text, ...page }),
          (error: unknown) => complain("The log could not be searched", error),
        )
        .finally(() => setBusy(false));
    },
    [read],
  );
  useEffect(() => look(""), [look]);

  const step = useCallback(
    (by: 1 | -1) => {
      const to = at + by;
      if (to >= 0 && to < found.lines.length) setAt(to);
      else if (to < 0) setAt(Math.max(0, found.lines.length - 1));
      else if (found.next === null) setAt(0);
      else {
        setBusy(true);
        void read(found.text, found.next)
          .then((page) => {
            setFound({ text: found.text, lines: [...found.lines, ...page.lines], next: page.next });
            if (page.lines.length > 0) setAt(to);
          })
          .finally(() => setBusy(false));
      }
    },
    [at, found, read],
  );

  const lines = useMemo(() => new Set(found.lines), [found.lines]);
  return { text: found.text, look, step, at, busy, count: found.lines.length, more: found.next !== null, lines, current: found.lines[at] ?? null };
}
