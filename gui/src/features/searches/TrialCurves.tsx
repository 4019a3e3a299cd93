import { useMemo } from "react";

import { useTrialCurves } from "@/api/searches";
import { LineChart, type Line } from "@/components/LineChart";
import { Panel } from "@/components/Panel";
import { curveColor } from "@/lib/colors";
import { useIsDark } from "@/lib/theme";

import styles from "./Searches.module.css";
import type { Shown } from "./trials";

const MOST = 120;

/** The objective while trials ran: the best in colour, those given up early end where they were. */
export function TrialCurves({ search, trials }: Shown) {
  const dark = useIsDark();
  const { data } = useTrialCurves(search.name, trials.length > 0);
  const best = search.best?.number;
  const lines = useMemo(() => {
    const states = new Map(trials.map((trial) => [trial.number, trial.state]));
    const numbers = Object.keys(data ?? {}).map(Number).sort((a, b) => a - b);
    const newest = numbers.slice(-MOST);
    const shown = best !== undefined && numbers.includes(best) && !newest.includes(best) ? [best, ...newest.slice(1)] : newest;
    return shown.map((number): Line => {
      const points = data?.[number] ?? [];
      const pruned = states.get(number) === "pruned";
      return {
        name: `trial ${number}${pruned ? ", pruned" : ""}`,
        color: number === best ? curveColor(2, dark) : pruned ? (dark ? "#8d90a3" : "#9a9cab") : curveColor(0, dark),
        x: points.map(([step]) => step),
        y: points.map(([, value]) => value),
        faint: number !== best,
        dashed: pruned,
      };
    });
  }, [data, trials, best, dark]);
  return (
    <Panel title="While they ran" count={lines.length > 0 ? search.objectives[0]?.metric : undefined}>
      {lines.length === 0 ? (
        <p className={styles["text"]}>The objective of each trial, step by step, stands here while trials log it.</p>
      ) : (
        <>
          <LineChart lines={lines} label={`${search.objectives[0]?.metric ?? ""} of ${lines.length} trials`} xKind="step" height={240} />
          <p className={styles["text"]}>The best trial stands out. Dashed lines were pruned: they end where they were given up.</p>
        </>
      )}
    </Panel>
  );
}
