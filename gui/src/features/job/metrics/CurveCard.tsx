import { Maximize2, Minimize2 } from "lucide-react";
import { useMemo, useState } from "react";

import { type CurveRange, useCurves } from "@/api/queries";
import type { Curve, JobDetails } from "@/api/types";
import { IconButton } from "@/components/Button";
import { type Line, LineChart } from "@/components/LineChart";
import { curveColor } from "@/lib/colors";
import { axisOf, inOrder, numbersOf, type XKind } from "@/lib/curves";
import { formatNumber, formatValue, plural } from "@/lib/format";
import { smooth } from "@/lib/smoothing";
import { useIsDark } from "@/lib/theme";

import styles from "./MetricsTab.module.css";

const CLOSE_POINTS = 2000;

export interface Looks {
  xKind: XKind;
  smoothing: number;
  log: boolean;
}

/** A chart of one metric, or of several. Zooming into a thinned curve reads what lies between. */
export function CurveCard({ job, title, curves, looks, big }: { job: JobDetails; title: string; curves: readonly Curve[]; looks: Looks; big: boolean }) {
  const dark = useIsDark();
  const [wide, setWide] = useState(big);
  const [range, setRange] = useState<readonly [number, number] | null>(null);
  const shown = useCloser(job.job_id, curves, range, looks);
  const lines = useMemo(() => linesOf(shown, looks, dark), [shown, looks, dark]);
  const only = curves.length === 1 ? job.metrics[curves[0]?.metric ?? ""] : undefined;
  const odd = curves.flatMap((curve) => curve.marks);
  return (
    <section className={`${styles["card"]} ${wide ? styles["wide"] : ""}`} aria-label={title}>
      <header className={styles["head"]}>
        <h3 title={title}>{title}</h3>
        <span className={`${styles["last"]} num`}>
          {only === undefined ? plural(curves.length, "curve") : formatValue(only.value)}
          {only?.min != null && only.max != null && ` (${formatNumber(only.min)} to ${formatNumber(only.max)})`}
        </span>
        <IconButton label={wide ? "Smaller" : "Larger"} small onClick={() => setWide(!wide)}>
          {wide ? <Minimize2 aria-hidden /> : <Maximize2 aria-hidden />}
        </IconButton>
      </header>
      <LineChart lines={lines} label={title} xKind={looks.xKind} log={looks.log} height={wide ? 380 : 220} group={`job-${looks.xKind}`} onZoom={setRange} />
      {odd.length > 0 && (
        <p className={styles["marks"]}>
          {plural(odd.reduce((sum, mark) => sum + mark.count, 0), "value")} that cannot be drawn: {[...new Set(odd.map((mark) => mark.value))].slice(0, 4).join(", ")}
        </p>
      )}
    </section>
  );
}

function useCloser(jobId: string, curves: readonly Curve[], range: readonly [number, number] | null, looks: Looks): readonly Curve[] {
  const sampled = range !== null && curves.some((curve) => curve.sampled);
  const wishes = useMemo(() => (sampled ? curves.map((curve) => ({ job: jobId, metric: curve.metric })) : []), [sampled, curves, jobId]);
  const closer = useMemo((): CurveRange | null => {
    if (!sampled || range === null) return null;
    const [from, to] = range;
    if (looks.xKind === "step") return { axis: curves.every((curve) => curve.step[0] !== null) ? "step" : "seq", from, to };
    const first = looks.xKind === "relative" ? (curves[0]?.time[0] ?? 0) : 0;
    return { axis: "time", from: from + first, to: to + first };
  }, [sampled, range, looks.xKind, curves]);
  const { data, isPlaceholderData } = useCurves(wishes, CLOSE_POINTS, closer);
  return sampled && data !== undefined && !isPlaceholderData && data.length > 0 ? data : curves;
}

function linesOf(curves: readonly Curve[], looks: Looks, dark: boolean): Line[] {
  const lines: Line[] = [];
  curves.forEach((curve, index) => {
    const { x, y } = inOrder(axisOf(curve, looks.xKind), numbersOf(curve));
    const color = curveColor(index, dark);
    if (looks.smoothing > 0) lines.push({ name: curve.metric, color, x, y, faint: true });
    lines.push({ name: curve.metric, color, x, y: looks.smoothing > 0 ? smooth(y, looks.smoothing) : y });
  });
  return lines;
}
