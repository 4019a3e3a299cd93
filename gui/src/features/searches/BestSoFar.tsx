import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { Switch } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { TimelinePlot } from "@/components/TimelinePlot";

import styles from "./Searches.module.css";
import { scoreOf, type Shown } from "./trials";

/** Each trial that came to a score, when it did, and the best so far. */
export function BestSoFar({ search, trials, objective }: Shown) {
  const navigate = useNavigate();
  const [log, setLog] = useState(false);
  const wanted = search.objectives[objective];
  const points = useMemo(
    () =>
      trials
        .flatMap((trial, index) => {
          const value = scoreOf(trial, objective);
          return trial.state === "completed" && value !== null && trial.finished_at !== null ? [{ index, time: trial.finished_at, value }] : [];
        })
        .sort((a, b) => a.time - b.time),
    [trials, objective],
  );
  const metric = wanted?.metric ?? "";
  return (
    <Panel title="Best so far" tools={<Switch label="Log scale" checked={log} onChange={setLog} />}>
      {points.length === 0 ? (
        <p className={styles["text"]}>Trials that completed stand here, one dot each, with the best so far as a line.</p>
      ) : (
        <TimelinePlot
          points={points}
          goal={wanted?.goal === "max" ? "max" : "min"}
          log={log}
          label={metric}
          height={300}
          nameOf={(index) => `trial ${trials[index]?.number ?? ""}`}
          onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: trials[index]?.job_id ?? "" } })}
        />
      )}
    </Panel>
  );
}
