import type { HistoryEntry, JobDetails } from "@/api/types";
import { Panel } from "@/components/Panel";
import { Status } from "@/components/Status";
import { formatDate, formatDuration } from "@/lib/format";
import { describeReason } from "@/lib/states";

import styles from "./Overview.module.css";

/** What happened to a job, attempt by attempt. */
export function Timeline({ job }: { job: JobDetails }) {
  const moves = job.history.filter((entry: HistoryEntry): entry is HistoryEntry & { state: string } => entry.state !== undefined);
  return (
    <Panel title="Timeline">
      <ol className={styles["timeline"]}>
        {moves.map((entry, index) => {
          const next = moves[index + 1];
          return (
            <li key={index}>
              <time dateTime={new Date(entry.time * 1000).toISOString()} title={formatDate(entry.time)}>
                {new Date(entry.time * 1000).toLocaleTimeString()}
              </time>
              <span>
                <Status state={entry.state} />
                {entry.attempt !== undefined && job.attempts > 1 && <span className={styles["none"]}> attempt {entry.attempt}</span>}
                {entry.reason != null && <span className={styles["none"]}> {describeReason(entry.reason)}</span>}
              </span>
              <span className={styles["span"]}>{next !== undefined && formatDuration(next.time - entry.time)}</span>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}
