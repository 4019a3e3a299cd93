import { useGroups } from "@/api/queries";
import type { Groups } from "@/api/types";
import { Select } from "@/components/Field";
import { formatNumber, formatValue } from "@/lib/format";

import { options, type PanelProps, withId } from "./panel";
import styles from "./Panels.module.css";

/** Mean and deviation of a metric over jobs that agree in a parameter or two: seeds are what is left out. */
export function GroupsPanel({ selection, columns, search, change }: PanelProps) {
  const params = columns.filter((column) => column.group === "params" || column.group === "tags" || column.id === "user");
  const metrics = columns.filter((column) => column.group === "metrics");
  const [byId, metricId, alsoId] = search.axes ?? [];
  const by = withId(params, byId) ?? params.find((column) => column.group === "params" && !column.numeric) ?? params[0];
  const metric = withId(metrics, metricId) ?? metrics[0];
  const also = withId(params, alsoId);
  const keys = [by, also].flatMap((column) => column?.id ?? []);
  const { data } = useGroups(selection, keys, metric ? [metric.id] : []);
  if (by === undefined || metric === undefined) return <p className={styles["none"]}>Jobs with parameters and metrics can be grouped.</p>;
  const set = (axes: [string, string, string?]) => change({ axes: axes.filter((id): id is string => Boolean(id)) });
  const rows = (data?.groups ?? []).map((group) => ({ ...group, found: told(group.metrics[metric.id]) }));
  rows.sort((a, b) => (a.found?.mean ?? Infinity) - (b.found?.mean ?? Infinity));
  const low = Math.min(...rows.map((row) => row.found?.min ?? Infinity));
  const high = Math.max(...rows.map((row) => row.found?.max ?? -Infinity));
  const at = (value: number) => `${high > low ? Math.min(100, Math.max(0, ((value - low) / (high - low)) * 100)) : 50}%`;
  const long = (a: number, b: number) => `${high > low ? (Math.max(0, Math.min(high, b) - Math.max(low, a)) / (high - low)) * 100 : 0}%`;
  return (
    <section className={styles["panel"]} aria-label="Groups">
      <div className={styles["tools"]}>
        <Select label="Group by" shown value={by.id} options={options(params)} onChange={(id) => set([id, metric.id, also?.id])} />
        <Select label="and" shown value={also?.id ?? ""} options={[["", "nothing else"], ...options(params)]} onChange={(id) => set([by.id, metric.id, id])} />
        <Select label="Metric" shown value={metric.id} options={options(metrics)} onChange={(id) => set([by.id, id, also?.id])} />
      </div>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys */}
      <div className={styles["groups"]} tabIndex={0} role="region" aria-label="Means of groups">
        <table>
          <thead>
            <tr>
              <th>{by.title}</th>
              {also !== undefined && <th>{also.title}</th>}
              <th>Jobs</th>
              <th>Mean</th>
              <th>± deviation</th>
              <th>Lowest to highest</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={JSON.stringify(row.by)}>
                {row.by.map((value, index) => (
                  <td key={index}>{formatValue(value) || "–"}</td>
                ))}
                <td>{row.jobs}</td>
                <td>{row.found ? formatNumber(row.found.mean) : "–"}</td>
                <td>{row.found?.deviation == null ? "–" : formatNumber(Number(row.found.deviation.toPrecision(3)))}</td>
                <td className={styles["bar"]}>
                  {row.found && (
                    <div className={styles["whisker"]} title={`${formatNumber(row.found.min)} to ${formatNumber(row.found.max)}`}>
                      <i style={{ left: at(row.found.min), width: long(row.found.min, row.found.max) }} />
                      {row.found.deviation !== null && (
                        <b style={{ left: at(row.found.mean - row.found.deviation), width: long(row.found.mean - row.found.deviation, row.found.mean + row.found.deviation) }} />
                      )}
                      <em style={{ left: at(row.found.mean) }} />
                    </div>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface Told {
  mean: number;
  deviation: number | null;
  min: number;
  max: number;
}

/** A group whose jobs all lack numbers tells nothing. */
function told(found: Groups["groups"][number]["metrics"][string] | undefined): Told | undefined {
  if (found === undefined) return undefined;
  const { mean, deviation, min, max } = found;
  return mean === null || min === null || max === null ? undefined : { mean, deviation, min, max };
}
