import { Link } from "@tanstack/react-router";

import { useReproduce } from "@/api/searches";
import type { SearchDetails } from "@/api/types";
import { Command, Facts, Panel } from "@/components/Panel";
import { formatNumber, formatValue, plural } from "@/lib/format";

import styles from "./Searches.module.css";
import { ranked } from "./trials";

/** The best trial, or the best one in the objective that is looked at. */
export function BestPanel({ search, objective }: { search: SearchDetails; objective: number }) {
  const { objectives, front } = search;
  const best = search.best ?? ranked(front, objective, objectives[objective]?.goal ?? "min")[0];
  const { data } = useReproduce(best?.job_id);
  if (best === undefined) {
    return (
      <Panel title="Best">
        <p className={styles["text"]}>The best trial stands here once one has completed.</p>
      </Panel>
    );
  }
  return (
    <Panel title={objectives.length > 1 ? `Best ${objectives[objective]?.metric ?? ""}` : "Best"} count={objectives.length > 1 ? `${plural(front.length, "trial")} in the front` : undefined}>
      <p className={styles["score"]}>
        {objectives.map(({ metric }, index) => (
          <span key={metric}>
            <strong className="num">{formatValue(best.values?.[index])}</strong> {metric}
          </span>
        ))}
      </p>
      <Facts
        rows={[
          ["Trial", <Link key="t" to="/jobs/$jobId" params={{ jobId: best.job_id }}>{`${search.name}.${best.number}`}</Link>],
          ...Object.entries(best.params).map(([key, value]) => [key, typeof value === "number" ? formatNumber(value) : formatValue(value)] as const),
        ]}
      />
      {data !== undefined && (
        <div className={styles["again"]}>
          <p className={styles["text"]}>The same again:</p>
          <Command text={data.command} />
        </div>
      )}
    </Panel>
  );
}
