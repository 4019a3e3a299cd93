import { useMemo, useState } from "react";

import { useCurves } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { Range, Segments, Switch } from "@/components/Field";
import { type Line, LineChart } from "@/components/LineChart";
import { Panel } from "@/components/Panel";
import { curveColor } from "@/lib/colors";
import { axisOf, inOrder, numbersOf, type XKind } from "@/lib/curves";
import { plural, shortId } from "@/lib/format";
import { smooth } from "@/lib/smoothing";
import { useIsDark } from "@/lib/theme";

import styles from "./ComparePage.module.css";

const MOST_CHARTS = 8;

/** The curves of all jobs, one chart a metric. */
export function CurvesCompared({ jobs }: { jobs: readonly JobDetails[] }) {
  const dark = useIsDark();
  const [xKind, setXKind] = useState<XKind>("step");
  const [log, setLog] = useState(false);
  const [smoothing, setSmoothing] = useState(0);
  const [all, setAll] = useState(false);
  const names = useMemo(() => metricNames(jobs), [jobs]);
  const shown = all ? names : names.slice(0, MOST_CHARTS);
  const ids = jobs.map((job) => job.job_id).join();
  const wishes = useMemo(
    () => shown.flatMap((metric) => jobs.filter((job) => job.metrics[metric] !== undefined).map((job) => ({ job: job.job_id, metric }))),
    [ids, shown.join("\n")], // eslint-disable-line react-hooks/exhaustive-deps
  );
  const { data } = useCurves(wishes, 500);
  const colors = new Map(jobs.map((job, index) => [job.job_id, curveColor(index, dark)]));
  const titles = new Map(jobs.map((job) => [job.job_id, job.name ?? shortId(job.job_id)]));
  if (names.length === 0) return null;
  const linesFor = (metric: string): Line[] =>
    (data ?? [])
      .filter((curve) => curve.metric === metric)
      .map((curve) => {
        const { x, y } = inOrder(axisOf(curve, xKind), numbersOf(curve));
        return { name: titles.get(curve.job_id) ?? "", color: colors.get(curve.job_id) ?? "#888888", x, y: smooth(y, smoothing) };
      });
  return (
    <Panel
      title="Curves"
      count={names.length}
      tools={
        <>
          <Segments label="Axis" value={xKind} onChange={setXKind} options={[["step", "Step"], ["relative", "Time"]]} />
          <Range label="Smoothing" min={0} max={0.99} step={0.01} value={smoothing} onChange={setSmoothing} />
          <Switch label="Log scale" checked={log} onChange={setLog} />
        </>
      }
    >
      <div className={styles["charts"]}>
        {shown.map((metric) => (
          <section key={metric} aria-label={metric}>
            <h3>{metric}</h3>
            <LineChart lines={linesFor(metric)} label={metric} xKind={xKind} log={log} height={230} group={`compare-${xKind}`} />
          </section>
        ))}
      </div>
      {names.length > MOST_CHARTS && (
        <Switch label={`All ${plural(names.length, "metric")}`} checked={all} onChange={setAll} />
      )}
    </Panel>
  );
}

/** Those that most of the jobs have come first. */
export function metricNames(jobs: readonly JobDetails[]): string[] {
  const counts = new Map<string, number>();
  for (const job of jobs) for (const name of Object.keys(job.metrics)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([name]) => name);
}
