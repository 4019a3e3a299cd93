import { Gauge } from "lucide-react";
import { useMemo } from "react";

import { useMeasured } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { type Line, LineChart } from "@/components/LineChart";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { curveColor } from "@/lib/colors";
import { formatBytes, formatMemory, formatNumber } from "@/lib/format";
import { useIsDark } from "@/lib/theme";
import { isFinal } from "@/lib/states";

import styles from "./MetricsTab.module.css";

/** What a job uses of its machine: processors, memory, GPUs. */
export function SystemTab({ job }: { job: JobDetails }) {
  const dark = useIsDark();
  const { data, error, refetch } = useMeasured(job.job_id);
  const charts = useMemo(() => {
    if (data === undefined) return [];
    const first = data.time[0] ?? 0;
    const x = data.time.map((time) => time - first);
    return Object.entries(data.values).map(([name, values], index): { name: string; last: string; line: Line } => {
      const { unit, scale, write } = measureOf(name, values);
      const last = values.findLast((value) => value !== null);
      return {
        name: titleOf(name) + unit,
        last: last == null ? "" : write(last),
        line: { name, color: curveColor(index, dark), x, y: values.map((value) => (value === null ? null : value / scale)) },
      };
    });
  }, [data, dark]);
  if (data === undefined) return error === null ? <Skeleton height={300} /> : <Trouble error={error} retry={() => void refetch()} />;
  if (charts.length === 0) {
    return (
      <Empty icon={Gauge} title="Nothing measured">
        <p>{isFinal(job.state) ? "The job was over before its processors, memory and GPUs were looked at." : "Processors, memory and GPUs are looked at every few seconds while the job runs."}</p>
      </Empty>
    );
  }
  return (
    <div className={styles["grid"]}>
      {charts.map(({ name, last, line }) => (
        <section key={name} className={styles["card"]} aria-label={name}>
          <header className={styles["head"]}>
            <h3>{name}</h3>
            <span className={`${styles["last"]} num`}>{last}</span>
          </header>
          <LineChart lines={[line]} label={name} xKind="relative" height={200} group="system" />
        </section>
      ))}
    </div>
  );
}

function titleOf(name: string): string {
  const words = name.replaceAll("_", " ").replaceAll(/\b[cg]pu/g, (short) => short.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** In which unit a measure is drawn, and how its last value is written. */
function measureOf(name: string, values: readonly (number | null)[]): { unit: string; scale: number; write: (value: number) => string } {
  const most = values.reduce<number>((high, value) => Math.max(high, value ?? 0), 0);
  if (/^(disk|network)_/.test(name)) {
    const [scale, unit] = most < 1e6 ? [1e3, "KB/s"] : [1e6, "MB/s"];
    return { unit: `, ${unit}`, scale, write: (value) => `${formatBytes(value)}/s` };
  }
  if (/memory/.test(name) && !/percent/.test(name)) {
    const [scale, unit] = most < 1024 ** 3 ? [1024 ** 2, "MB"] : [1024 ** 3, "GB"];
    return { unit: `, ${unit}`, scale, write: formatMemory };
  }
  return { unit: name === "cpu" ? ", % of one core" : "", scale: 1, write: formatNumber };
}
