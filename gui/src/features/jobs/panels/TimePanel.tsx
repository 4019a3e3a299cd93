import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useValues } from "@/api/queries";
import { Segments, Select, Switch } from "@/components/Field";
import { TimelinePlot, timePoints } from "@/components/TimelinePlot";
import type { Brush } from "@/lib/axes";
import { plural, shortId } from "@/lib/format";

import type { Brushes } from "../brushes";
import { options, type PanelProps, withId } from "./panel";
import styles from "./Panels.module.css";

interface Props extends PanelProps {
  brushes: Brushes;
  onBrushes: (brushes: Brushes) => void;
}

const TIMES = [["submitted", "Submitted"], ["started", "Started"], ["finished", "Finished"]] as const;

type Time = (typeof TIMES)[number][0];

/** A metric of all jobs over when they ran, with the best so far: is it getting better? */
export function TimePanel({ selection, columns, search, change, brushes, onBrushes }: Props) {
  const navigate = useNavigate();
  const [log, setLog] = useState(false);
  const metrics = columns.filter((column) => column.group === "metrics");
  const [metricId, timeId] = search.axes ?? [];
  const metric = withId(metrics, metricId) ?? metrics[0];
  const time: Time = TIMES.find(([id]) => id === timeId)?.[0] ?? "started";
  const ordered = useMemo(() => ({ ...selection, sort: [time] }), [selection, time]);
  const { data } = useValues(ordered, metric ? [time, metric.id] : []);
  const points = useMemo(() => timePoints(data, time, metric?.id ?? ""), [data, time, metric?.id]);
  if (metric === undefined) return <p className={styles["none"]}>No job has logged a metric yet.</p>;
  const set = (id: string, when: Time) => change({ axes: [id, when], brush: undefined });
  return (
    <section className={styles["panel"]} aria-label="Metric over time">
      <div className={styles["tools"]}>
        <Select label="Metric" shown value={metric.id} options={options(metrics)} onChange={(id) => set(id, time)} />
        <Segments label="Time" value={time} onChange={(when) => set(metric.id, when)} options={TIMES} />
        <Switch label="Log scale" checked={log} onChange={setLog} />
        <span className={styles["note"]}>
          {data !== undefined && data.total > data.jobs.length ? `the first ${plural(data.jobs.length, "job")} of ${data.total.toLocaleString("en")}; ` : ""}
          Click a dot to open its job; drag to choose some.
        </span>
      </div>
      <div className={styles["plot"]}>
        <TimelinePlot
          points={points}
          goal={metric.goal ?? "min"}
          log={log}
          label={metric.title}
          height={290}
          nameOf={(index) => data?.names[index] ?? shortId(data?.jobs[index] ?? "")}
          onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: data?.jobs[index] ?? "" } })}
          brush={stretchOf(brushes.get(time))}
          onBrush={(stretch) => onBrushes(stretch === null ? new Map() : new Map([[time, { low: Math.floor(stretch[0]), high: Math.ceil(stretch[1]) }]]))}
        />
      </div>
    </section>
  );
}

function stretchOf(brush: Brush | undefined): [number, number] | null {
  return brush === undefined || "words" in brush ? null : [brush.low, brush.high];
}
