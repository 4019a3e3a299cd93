import { useMemo } from "react";

import { useValues } from "@/api/queries";
import { Select } from "@/components/Field";
import { type Axis, ParallelPlot } from "@/components/ParallelPlot";
import { type Brush, brushed, moved } from "@/lib/axes";
import { plural } from "@/lib/format";

import { clauseOf } from "../brushes";
import { ColumnChooser } from "../ColumnChooser";
import type { Column } from "../columns";
import { type PanelProps, plottable } from "./panel";
import styles from "./Panels.module.css";

interface Props extends PanelProps {
  brushes: ReadonlyMap<string, Brush>;
  onBrushes: (brushes: ReadonlyMap<string, Brush>) => void;
}

/** Parallel coordinates: what is brushed is what the table shows. */
export function ParallelPanel({ selection, columns, search, change, brushes, onBrushes }: Props) {
  const possible = useMemo(() => plottable(columns), [columns]);
  const ids = search.axes ?? usualAxes(possible);
  const shown = ids.flatMap((id) => possible.find((column) => column.id === id) ?? []);
  const { data } = useValues(selection, shown.map((column) => column.id));
  const axes = useMemo(
    () => shown.map((column): Axis => ({ id: column.id, title: column.title, values: data?.columns[column.id] ?? [] })),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the IDs say which columns
    [data, ids.join()],
  );
  const colorBy = shown.findLast((column) => column.group === "metrics")?.id ?? ids.at(-1);
  const move = (id: string, to: string) => {
    change({ axes: moved(ids, id, to) });
  };
  const brush = (id: string, now: Brush | null) => {
    onBrushes(brushed(brushes, id, now));
  };
  return (
    <section className={styles["panel"]} aria-label="Parallel coordinates">
      <div className={styles["tools"]}>
        <ColumnChooser columns={possible} shown={ids} onChange={(axes) => change({ axes })} onReset={() => change({ axes: undefined })} />
        {shown.length > 1 && (
          <Select
            label="Colour by"
            shown
            value={colorBy ?? ""}
            options={shown.map((column) => [column.id, column.title] as const)}
            onChange={(id) => change({ axes: [...ids.filter((other) => other !== id), id] })}
          />
        )}
        <span className={styles["note"]}>
          {data !== undefined && data.total > data.jobs.length ? `the first ${plural(data.jobs.length, "job")} of ${data.total.toLocaleString("en")}; ` : ""}
          {brushes.size > 0 ? clauseOf(brushes) : "Drag along an axis to choose jobs; drag its name to move it."}
        </span>
      </div>
      {axes.length < 2 ? (
        <p className={styles["none"]}>Two parameters or metrics at least make a plot.</p>
      ) : (
        <ParallelPlot axes={axes} colorBy={colorBy} brushes={brushes} onBrush={brush} onMove={move} />
      )}
    </section>
  );
}

/** Up to seven parameters, then two metrics, the first of which colours the lines. */
function usualAxes(columns: readonly Column[]): string[] {
  const params = columns.filter((column) => column.group === "params" && column.usual).slice(0, 7);
  const metrics = columns.filter((column) => column.group === "metrics" && column.usual).slice(0, 2);
  return [...params, ...metrics.reverse()].map((column) => column.id);
}
