import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronDown } from "lucide-react";
import { useMemo, useState } from "react";

import { useColumns, useValues } from "@/api/queries";
import type { Columns, Project, Values } from "@/api/types";
import { Button } from "@/components/Button";
import { Switch } from "@/components/Field";
import { Menu, MenuChecks } from "@/components/Menu";
import { Panel } from "@/components/Panel";
import { TimelinePlot, timePoints } from "@/components/TimelinePlot";
import { plural, shortId } from "@/lib/format";
import { columnName } from "@/lib/query";

import styles from "./MetricGraph.module.css";
import { type OverviewSearch, parseOverviewSearch } from "./search";

/** Metrics of all jobs by the time they were submitted, a plot each: is it getting better? */
export function MetricGraph({ project }: { project: Project }) {
  const search = useSearch({ from: "/projects/$project/overview" });
  const navigate = useNavigate({ from: "/projects/$project/overview" });
  const known = useColumns(project.name);
  const metrics = (known.data?.metrics ?? []).filter((metric) => metric.numbers > 0);
  const [log, setLog] = useState(false);
  const names = metrics.map((metric) => metric.name);
  const shown = shownMetrics(names, search.metrics, project);
  const columns = shown.map((name) => columnName("metrics", name));
  const selection = useMemo(() => ({ project: project.name, sort: ["submitted"] }), [project.name]);
  const { data } = useValues(selection, ["submitted", ...columns], shown.length > 0);
  const choose = (chosen: string[]) =>
    void navigate({ search: (old: OverviewSearch) => parseOverviewSearch({ ...old, metrics: chosen }), replace: true, resetScroll: false });
  return (
    <Panel
      title="Metrics over time"
      tools={
        metrics.length > 0 && (
          <>
            <Switch label="Log scale" checked={log} onChange={setLog} />
            <Menu
              trigger={
                <Button small>
                  {shown.length === 1 ? shown[0] : plural(shown.length, "metric")}
                  <ChevronDown aria-hidden />
                </Button>
              }
            >
              <MenuChecks chosen={shown} options={names} onChange={choose} />
            </Menu>
          </>
        )
      }
    >
      {shown.length === 0 ? (
        <p style={{ color: "var(--ink-3)" }}>Jobs that log a metric stand here, one dot each, with the best so far.</p>
      ) : (
        <div className={styles["plots"]}>
          {metrics
            .filter((metric) => shown.includes(metric.name))
            .map((metric) => (
              <OneMetric key={metric.name} metric={metric} data={data} log={log} alone={shown.length === 1} />
            ))}
        </div>
      )}
    </Panel>
  );
}

function OneMetric({ metric, data, log, alone }: { metric: Columns["metrics"][number]; data: Values | undefined; log: boolean; alone: boolean }) {
  const navigate = useNavigate();
  const points = useMemo(() => timePoints(data, "submitted", columnName("metrics", metric.name)), [data, metric.name]);
  return (
    <section aria-label={metric.name}>
      {!alone && <h3>{metric.name}</h3>}
      <TimelinePlot
        points={points}
        goal={metric.goal}
        log={log}
        label={metric.name}
        group="overview"
        height={alone ? 260 : 200}
        nameOf={(index) => data?.names[index] ?? shortId(data?.jobs[index] ?? "")}
        onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: data?.jobs[index] ?? "" } })}
      />
    </section>
  );
}

/** Those of the address that there are; else the project's own, its best one's, or the first. */
function shownMetrics(names: readonly string[], chosen: readonly string[] | undefined, project: Project): string[] {
  const found = names.filter((name) => chosen?.includes(name));
  if (found.length > 0) return found;
  return [project.metric, project.best?.metric, ...names].filter((name): name is string => name != null && names.includes(name)).slice(0, 1);
}
