import { useMemo, useState } from "react";

import { useCurves } from "@/api/queries";
import { Segments, Select, Switch } from "@/components/Field";
import { type Line, LineChart } from "@/components/LineChart";
import { curveColor } from "@/lib/colors";
import { axisOf, numbersOf, type XKind } from "@/lib/curves";
import { plural, shortId } from "@/lib/format";
import { useIsDark } from "@/lib/theme";

import { options, type PanelProps, withId } from "./panel";
import styles from "./Panels.module.css";

const MOST = 20;

/** One metric of the selected jobs, or of the first in sight. */
export function CurvesPanel({ columns, search, change, jobs }: PanelProps) {
  const dark = useIsDark();
  const [xKind, setXKind] = useState<XKind>("step");
  const [log, setLog] = useState(false);
  const metrics = columns.filter((column) => column.group === "metrics");
  const metric = withId(metrics, search.axes?.[0]) ?? metrics[0];
  const name = metric?.title ?? "";
  const having = jobs.filter((job) => job.metrics[name] !== undefined).slice(0, MOST);
  const wishes = useMemo(() => having.map((job) => ({ job: job.job_id, metric: name })), [having.map((job) => job.job_id).join(), name]); // eslint-disable-line react-hooks/exhaustive-deps
  const { data } = useCurves(wishes, 400);
  const lines = useMemo(() => {
    const names = new Map(jobs.map((job) => [job.job_id, job.name ?? shortId(job.job_id)]));
    return (data ?? []).map((curve, index): Line => ({ name: names.get(curve.job_id) ?? shortId(curve.job_id), color: curveColor(index, dark), x: axisOf(curve, xKind), y: numbersOf(curve) }));
  }, [data, jobs, xKind, dark]);
  if (metric === undefined) return <p className={styles["none"]}>No job has logged a metric yet.</p>;
  return (
    <section className={styles["panel"]} aria-label="Curves">
      <div className={styles["tools"]}>
        <Select label="Metric" shown value={metric.id} options={options(metrics)} onChange={(id) => change({ axes: [id] })} />
        <Segments label="Axis" value={xKind} onChange={setXKind} options={[["step", "Step"], ["relative", "Time"]]} />
        <Switch label="Log scale" checked={log} onChange={setLog} />
        <span className={styles["note"]}>{plural(having.length, "job")}: the selected ones, or the first in the table</span>
      </div>
      <div className={styles["plot"]}>
        <LineChart lines={lines} label={`${name} of ${plural(lines.length, "job")}`} xKind={xKind} log={log} height={290} />
      </div>
    </section>
  );
}
