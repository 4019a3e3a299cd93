import type { SearchDetails } from "@/api/types";
import { Meter, StateBar } from "@/components/Meter";
import { Facts, Panel } from "@/components/Panel";
import { useNow } from "@/lib/clock";
import { formatDate, formatDuration, formatNumber, plural } from "@/lib/format";

import styles from "./Searches.module.css";

/** How far it is, and what it may still take. */
export function ProgressPanel({ search }: { search: SearchDetails }) {
  const { counts, budget, spent } = search;
  const now = useNow(search.state === "running");
  // What ran since the server said so is not in its figure.
  const seconds = search.finished_at === null ? Math.max(spent.seconds, now - search.created_at) : spent.seconds;
  const states = (["running", "queued", "completed", "pruned", "failed", "stopped"] as const).filter((state) => counts[state] > 0);
  return (
    <Panel title="Progress" count={plural(counts.total, "trial")}>
      <div className={styles["meters"]}>
        {budget.trials !== null && <Meter goal label="Trials" used={spent.trials} total={budget.trials} text={`${spent.trials} of ${budget.trials}`} />}
        {budget.seconds !== null && <Meter goal label="Time" used={seconds} total={budget.seconds} text={`${formatDuration(seconds)} of ${formatDuration(budget.seconds)}`} />}
        {budget.gpu_hours !== null && <Meter goal label="GPU-hours" used={spent.gpu_hours} total={budget.gpu_hours} text={`${formatNumber(spent.gpu_hours)} of ${formatNumber(budget.gpu_hours)}`} />}
        <StateBar counts={{ ...counts }} />
        <p className={`${styles["states"]} num`}>{states.map((state) => `${counts[state].toLocaleString("en")} ${state}`).join(", ") || "No trial yet."}</p>
      </div>
      <Facts
        rows={[
          search.message !== null && ["Ended", search.message],
          ["Sampler", search.sampler],
          search.pruner !== null && ["Pruner", search.pruner],
          ["Objective", search.objectives.map(({ metric, goal, value }) => `${goal} ${metric}${value === "last" ? "" : ` (${value})`}`).join(", ")],
          ["At once", search.concurrency ?? "as many as fit"],
          ["Begun", `${formatDate(search.created_at)} by ${search.user}`],
          search.finished_at !== null && ["Took", formatDuration(search.finished_at - search.created_at)],
          ...Object.entries(search.constants).map(([key, value]) => [key, JSON.stringify(value)] as const),
        ]}
      />
    </Panel>
  );
}
