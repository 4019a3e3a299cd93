import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { Select } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { ScatterPlot } from "@/components/ScatterPlot";

import { scoreOf, type Shown } from "./trials";

/** One objective against another; trials that no other beats stand out. */
export function FrontPlot({ search, trials, objective }: Shown) {
  const navigate = useNavigate();
  const others = search.objectives.map((_, index) => index).filter((index) => index !== objective);
  const [chosen, setChosen] = useState(others[0] ?? 0);
  const other = others.includes(chosen) ? chosen : (others[0] ?? 0);
  const done = useMemo(() => trials.filter((trial) => trial.state === "completed" && trial.values !== null), [trials]);
  const front = useMemo(() => new Set(search.front.map((trial) => trial.number)), [search.front]);
  const title = (index: number) => search.objectives[index]?.metric ?? "";
  return (
    <Panel
      title="Front"
      count={`${search.front.length} of ${done.length}`}
      tools={others.length > 1 && <Select label="Against" shown value={String(other)} options={others.map((index) => [String(index), title(index)] as const)} onChange={(now) => setChosen(Number(now))} />}
    >
      <ScatterPlot
        x={{ title: title(objective), values: done.map((trial) => scoreOf(trial, objective)) }}
        y={{ title: title(other), values: done.map((trial) => scoreOf(trial, other)) }}
        color={{ title: "front", values: done.map((trial) => (front.has(trial.number) ? 1 : 0)) }}
        names={done.map((trial) => `trial ${trial.number}`)}
        height={280}
        onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: done[index]?.job_id ?? "" } })}
      />
    </Panel>
  );
}
