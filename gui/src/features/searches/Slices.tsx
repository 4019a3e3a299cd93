import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useImportance } from "@/api/searches";
import { Button } from "@/components/Button";
import { Panel } from "@/components/Panel";
import { ScatterPlot } from "@/components/ScatterPlot";

import styles from "./Searches.module.css";
import { cellOf, scoreOf, searchedNames, type Shown } from "./trials";

const FEW = 6;

/** The score over each parameter, the most important first; later trials are brighter. */
export function Slices({ search, trials, objective }: Shown) {
  const navigate = useNavigate();
  const [all, setAll] = useState(false);
  const metric = search.objectives[objective]?.metric ?? "";
  const { data } = useImportance(search.name, metric);
  const done = useMemo(() => trials.filter((trial) => trial.state === "completed" && trial.values !== null), [trials]);
  const names = searchedNames(search, trials).sort((a, b) => (data?.importance[b] ?? 0) - (data?.importance[a] ?? 0));
  if (done.length === 0) return null;
  const plot = {
    y: { title: metric, values: done.map((trial) => scoreOf(trial, objective)) },
    color: { title: "trial", values: done.map((trial) => trial.number) },
    names: done.map((trial) => `trial ${trial.number}`),
  };
  return (
    <Panel title="Slices" count={metric} tools={names.length > FEW && <Button small kind="quiet" onClick={() => setAll(!all)}>{all ? "The most important" : `All ${names.length}`}</Button>}>
      <div className={styles["slices"]}>
        {(all ? names : names.slice(0, FEW)).map((name) => (
          <ScatterPlot
            key={name}
            {...plot}
            x={{ title: name, values: done.map((trial) => cellOf(trial.params[name])) }}
            height={220}
            onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: done[index]?.job_id ?? "" } })}
          />
        ))}
      </div>
    </Panel>
  );
}
