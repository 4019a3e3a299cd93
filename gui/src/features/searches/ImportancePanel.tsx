import { useImportance } from "@/api/searches";
import { Panel } from "@/components/Panel";

import styles from "./Searches.module.css";
import type { Shown } from "./trials";

/** How much of the difference between trials each parameter explains. */
export function ImportancePanel({ search, objective }: Shown) {
  const metric = search.objectives[objective]?.metric ?? "";
  const { data } = useImportance(search.name, metric);
  const rows = Object.entries(data?.importance ?? {}).sort((a, b) => b[1] - a[1]);
  return (
    <Panel title="Importance" count={data !== undefined && rows.length > 0 ? `for ${metric}, of ${data.trials} trials` : undefined}>
      {rows.length === 0 ? (
        <p className={styles["text"]}>Which parameters matter is known once some more trials have completed.</p>
      ) : (
        <ul className={styles["bars"]}>
          {rows.map(([name, share]) => (
            <li key={name}>
              <span className={styles["bar"]} title={name}>
                {name}
              </span>
              <span className={styles["track"]} aria-hidden>
                <span style={{ width: `${Math.max(0.5, share * 100)}%` }} />
              </span>
              <strong className="num">{Math.round(share * 100)} %</strong>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
