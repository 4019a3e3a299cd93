import { useMemo, useState } from "react";

import type { Trial } from "@/api/types";
import { Select } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { type Axis, ParallelPlot } from "@/components/ParallelPlot";
import { type Brush, brushed, type Cell, moved } from "@/lib/axes";

import styles from "./Searches.module.css";
import { cellOf, scoreOf, searchedNames, type Shown } from "./trials";

interface Props extends Shown {
  brushes: ReadonlyMap<string, Brush>;
  onBrushes: (brushes: ReadonlyMap<string, Brush>) => void;
}

const PARAM = "p:";

/** What an axis says of a trial. */
export function axisValue(objectives: readonly { metric: string }[]): (trial: Trial, axis: string) => Cell {
  const places = new Map(objectives.map(({ metric }, index) => [`v:${metric}`, index]));
  return (trial, axis) => (axis.startsWith(PARAM) ? cellOf(trial.params[axis.slice(PARAM.length)]) : scoreOf(trial, places.get(axis) ?? 0));
}

/** Every trial with a score as a line through what was chosen; what is brushed is what the list below shows. */
export function ParallelTrials({ search, trials, objective, brushes, onBrushes }: Props) {
  const [order, setOrder] = useState<readonly string[]>([]);
  const [color, setColor] = useState("");
  const { objectives } = search;
  const names = searchedNames(search, trials);
  const known = [...names.map((name) => `${PARAM}${name}`), ...objectives.map(({ metric }) => `v:${metric}`)];
  const ids = [...order.filter((id) => known.includes(id)), ...known.filter((id) => !order.includes(id))];
  const scored = useMemo(() => trials.filter((trial) => trial.values !== null && trial.state === "completed"), [trials]);
  const axes = useMemo(() => {
    const valueOf = axisValue(objectives);
    return ids.map((id): Axis => ({ id, title: id.slice(2), values: scored.map((trial) => valueOf(trial, id)) }));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the IDs say which axes
  }, [scored, objectives, ids.join("\n")]);
  const colorBy = known.includes(color) ? color : `v:${objectives[objective]?.metric ?? ""}`;
  const move = (id: string, to: string) => {
    setOrder(moved(ids, id, to));
  };
  const brush = (id: string, now: Brush | null) => {
    onBrushes(brushed(brushes, id, now));
  };
  return (
    <Panel
      title="Parallel coordinates"
      count={scored.length}
      flush
      tools={<Select label="Colour by" shown value={colorBy} options={known.map((id) => [id, id.slice(2)] as const)} onChange={setColor} />}
    >
      {scored.length === 0 ? (
        <p className={styles["none"]}>Trials that completed stand here as lines. Drag along an axis to choose some.</p>
      ) : (
        <ParallelPlot axes={axes} colorBy={colorBy} brushes={brushes} onBrush={brush} onMove={move} height={300} />
      )}
    </Panel>
  );
}
