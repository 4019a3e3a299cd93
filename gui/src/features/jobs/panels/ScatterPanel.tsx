import { useNavigate } from "@tanstack/react-router";

import { useValues } from "@/api/queries";
import { Select } from "@/components/Field";
import { ScatterPlot } from "@/components/ScatterPlot";
import type { Brush } from "@/lib/axes";
import { shortId } from "@/lib/format";

import { options, type PanelProps, plottable, withId } from "./panel";
import styles from "./Panels.module.css";

interface Props extends PanelProps {
  onBrushes: (brushes: ReadonlyMap<string, Brush>) => void;
}

/** One value against another, coloured by a third. */
export function ScatterPanel({ selection, columns, search, change, onBrushes }: Props) {
  const navigate = useNavigate();
  const possible = plottable(columns);
  const param = possible.find((column) => column.group === "params" && column.numeric) ?? possible[0];
  const metric = possible.find((column) => column.group === "metrics") ?? possible[1];
  const [xId, yId, colorId] = search.axes ?? [];
  const x = withId(possible, xId) ?? param;
  const y = withId(possible, yId) ?? metric;
  const color = withId(possible, colorId);
  const { data } = useValues(selection, [x, y, color].flatMap((column) => column?.id ?? []));
  if (x === undefined || y === undefined) return <p className={styles["none"]}>Nothing has been recorded that could be plotted.</p>;
  const set = (axes: [string, string, string?]) => change({ axes: axes.filter((id): id is string => Boolean(id)), brush: undefined });
  const valuesOf = (id: string) => data?.columns[id] ?? [];
  return (
    <section className={styles["panel"]} aria-label="Scatter plot">
      <div className={styles["tools"]}>
        <Select label="x" shown value={x.id} options={options(possible)} onChange={(id) => set([id, y.id, color?.id])} />
        <Select label="y" shown value={y.id} options={options(possible)} onChange={(id) => set([x.id, id, color?.id])} />
        <Select label="Colour" shown value={color?.id ?? ""} options={[["", "none"], ...options(possible)]} onChange={(id) => set([x.id, y.id, id])} />
        <span className={styles["note"]}>Click a dot to open its job; drag to choose some.</span>
      </div>
      {data !== undefined && (
        <ScatterPlot
          x={{ title: x.title, values: valuesOf(x.id) }}
          y={{ title: y.title, values: valuesOf(y.id) }}
          color={color && { title: color.title, values: valuesOf(color.id) }}
          names={data.jobs.map((id, index) => data.names[index] ?? shortId(id))}
          onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: data.jobs[index] as string } })}
          onBrush={(across, up) => onBrushes(new Map([[x.id, across], [y.id, up]]))}
        />
      )}
    </section>
  );
}
