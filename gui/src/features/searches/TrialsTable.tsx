import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { Button } from "@/components/Button";
import { Segments } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { Status } from "@/components/Status";
import { Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import type { Brush } from "@/lib/axes";
import { formatDuration, formatNumber, formatValue } from "@/lib/format";

import { axisValue } from "./ParallelTrials";
import styles from "./Searches.module.css";
import { fits, ranked, searchedNames, searchQuery, type Shown } from "./trials";

const PAGE = 20;
const WHICH = [
  ["all", "All"],
  ["completed", "Completed"],
  ["pruned", "Pruned"],
  ["failed", "Failed"],
  ["running", "Running"],
] as const;

type Which = (typeof WHICH)[number][0];

/** Trials, the best first; those that were given up early say why. */
export function TrialsTable({ search, trials, objective, brushes }: Shown & { brushes: ReadonlyMap<string, Brush> }) {
  const [which, setWhich] = useState<Which>("all");
  const [count, setCount] = useState(PAGE);
  const { objectives } = search;
  const names = searchedNames(search, trials);
  const chosen = useMemo(() => {
    const valueOf = axisValue(objectives);
    const some = trials.filter((trial) => (which === "all" || trial.state === which) && fits(trial, brushes, valueOf));
    return ranked(some, objective, objectives[objective]?.goal ?? "min");
  }, [trials, which, brushes, objective, objectives]);
  const heads = ["Trial", "State", ...objectives.map(({ metric }) => ({ title: metric, number: true })), ...names, "Took", "What happened"];
  const present = WHICH.filter(([key]) => key === "all" || key === which || search.counts[key] > 0);
  return (
    <Panel
      title="Trials"
      count={`${chosen.length.toLocaleString("en")}${brushes.size > 0 ? " chosen in the plot" : ""}`}
      flush
      tools={
        <>
          <Segments label="Which trials" value={which} options={present} onChange={setWhich} />
          <Link to="/projects/$project/jobs" params={{ project: search.project }} search={{ q: searchQuery(search.name) }}>
            All in the table of jobs
          </Link>
        </>
      }
    >
      <Table label="Trials" heads={heads}>
        {chosen.slice(0, count).map((trial) => (
          <tr key={trial.number} data-testid="trial">
            <td>
              <Link to="/jobs/$jobId" params={{ jobId: trial.job_id }}>
                {trial.number}
              </Link>
            </td>
            <td>
              <Status state={trial.state} />
            </td>
            {objectives.map(({ metric }, index) => (
              <td key={metric} className={cells["number"]}>
                {trial.values?.[index] === undefined ? "–" : formatNumber(trial.values[index])}
              </td>
            ))}
            {names.map((name) => (
              <td key={name} className={`${cells["nowrap"]} num`}>
                {formatValue(trial.params[name])}
              </td>
            ))}
            <td className={`${cells["nowrap"]} num`}>{trial.started_at !== null && trial.finished_at !== null ? formatDuration(trial.finished_at - trial.started_at) : ""}</td>
            <td className={styles["message"]} title={trial.message ?? undefined}>
              {trial.message}
            </td>
          </tr>
        ))}
      </Table>
      {chosen.length === 0 && <p className={styles["none"]}>No such trial.</p>}
      {chosen.length > count && (
        <p className={styles["more"]}>
          <Button small onClick={() => setCount(count + 5 * PAGE)}>
            Show more
          </Button>
        </p>
      )}
    </Panel>
  );
}
