import { LineChart as LineIcon } from "lucide-react";
import { useMemo, useState } from "react";

import { useCurves } from "@/api/queries";
import type { Curve, JobDetails } from "@/api/types";
import { Range, SearchInput, Segments, Switch } from "@/components/Field";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { isFinal } from "@/lib/states";
import { keep, recall } from "@/lib/storage";

import { CurveCard, type Looks } from "./CurveCard";
import styles from "./MetricsTab.module.css";

const POINTS = 1200;

type Together = "each" | "prefix" | "all";

/** Every metric of a job as a curve that grows while it runs. */
export function MetricsTab({ job }: { job: JobDetails }) {
  const [looks, setLooks] = useState<Looks>(() => ({ xKind: "step", smoothing: 0, log: false, ...recall<Partial<Looks>>("curves", {}) }));
  const [together, setTogether] = useState<Together>("each");
  const [find, setFind] = useState("");
  const look = (part: Partial<Looks>) => {
    const now = { ...looks, ...part };
    setLooks(now);
    keep("curves", now);
  };
  const names = Object.keys(job.metrics).filter((name) => typeof job.metrics[name]?.value === "number" || (job.metrics[name]?.count ?? 0) > 0);
  const fitting = names.filter((name) => name.toLowerCase().includes(find.trim().toLowerCase()));
  const wishes = useMemo(() => names.map((metric) => ({ job: job.job_id, metric })), [job.job_id, names.join("\n")]); // eslint-disable-line react-hooks/exhaustive-deps
  const { data, error, refetch } = useCurves(wishes, POINTS);
  const curves = useMemo(() => new Map((data ?? []).map((curve) => [curve.metric, curve])), [data]);

  if (names.length === 0) return <None job={job} />;
  if (data === undefined) return error === null ? <Skeleton height={300} /> : <Trouble error={error} retry={() => void refetch()} />;
  return (
    <>
      <div className={styles["tools"]}>
        {names.length > 6 && <SearchInput label="Find a metric" className={styles["find"]} value={find} onChange={(event) => setFind(event.target.value)} />}
        <Segments label="Axis" value={looks.xKind} onChange={(xKind) => look({ xKind })} options={[["step", "Step"], ["relative", "Time"], ["time", "Clock"]]} />
        <Range label="Smoothing" min={0} max={0.99} step={0.01} value={looks.smoothing} onChange={(smoothing) => look({ smoothing })} />
        <Switch label="Log scale" checked={looks.log} onChange={(log) => look({ log })} />
        <Segments label="Charts" value={together} onChange={setTogether} options={[["each", "One each"], ["prefix", "By prefix"], ["all", "All in one"]]} />
      </div>
      <div className={styles["grid"]}>
        {chartsOf(fitting, together).map((chart) => (
          <CurveCard
            key={chart.title}
            job={job}
            title={chart.title}
            curves={chart.metrics.map((name) => curves.get(name)).filter((curve): curve is Curve => curve !== undefined)}
            looks={looks}
            big={together !== "each" || fitting.length === 1}
          />
        ))}
      </div>
    </>
  );
}

function chartsOf(names: readonly string[], together: Together): { title: string; metrics: readonly string[] }[] {
  if (together === "all") return [{ title: "All metrics", metrics: names }];
  if (together === "each") return names.map((name) => ({ title: name, metrics: [name] }));
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const prefix = name.includes("/") ? name.slice(0, name.indexOf("/")) : (/^(train|val|valid|test|eval|system)(?=[_.])/.exec(name)?.[0] ?? "other");
    groups.set(prefix, [...(groups.get(prefix) ?? []), name]);
  }
  return [...groups].map(([title, metrics]) => ({ title, metrics }));
}

function None({ job }: { job: JobDetails }) {
  return (
    <Empty icon={LineIcon} title="No metrics" command={'foundations.log_metric("loss", loss, step=epoch)'}>
      <p>{isFinal(job.state) ? "This job logged none." : "None has come yet; curves grow here while the job runs."} In the program:</p>
    </Empty>
  );
}
