import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useColumns, useValues } from "@/api/queries";
import type { Project } from "@/api/types";
import { Select, Switch } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { TimelinePlot } from "@/components/TimelinePlot";
import { shortId } from "@/lib/format";
import { columnName } from "@/lib/query";

/** A metric of all jobs by the time they were submitted: is it getting better? */
export function MetricGraph({ project }: { project: Project }) {
  const navigate = useNavigate();
  const columns = useColumns(project.name);
  const metrics = (columns.data?.metrics ?? []).filter((metric) => metric.numbers > 0);
  const [chosen, setChosen] = useState("");
  const [log, setLog] = useState(false);
  const name = [chosen, project.metric, project.best?.metric, metrics[0]?.name].find((one) => metrics.some((metric) => metric.name === one)) ?? "";
  const column = columnName("metrics", name);
  const selection = useMemo(() => ({ project: project.name, sort: ["submitted"] }), [project.name]);
  const { data } = useValues(selection, ["submitted", column], name !== "");
  const goal = metrics.find((metric) => metric.name === name)?.goal ?? "min";
  const points = useMemo(() => {
    const times = data?.columns["submitted"] ?? [];
    const values = data?.columns[column] ?? [];
    return times.flatMap((time, index) => {
      const value = values[index];
      return typeof time === "number" && typeof value === "number" ? [{ index, time, value }] : [];
    });
  }, [data, column]);
  return (
    <Panel
      title="Metric over time"
      tools={
        metrics.length > 0 && (
          <>
            <Switch label="Log scale" checked={log} onChange={setLog} />
            <Select label="Metric" value={name} options={metrics.map((metric) => [metric.name, metric.name] as const)} onChange={setChosen} />
          </>
        )
      }
    >
      {points.length === 0 ? (
        <p style={{ color: "var(--ink-3)" }}>Jobs that log a metric stand here, one dot each, with the best so far.</p>
      ) : (
        <TimelinePlot
          points={points}
          goal={goal}
          log={log}
          label={name}
          nameOf={(index) => data?.names[index] ?? shortId(data?.jobs[index] ?? "")}
          onOpen={(index) => void navigate({ to: "/jobs/$jobId", params: { jobId: data?.jobs[index] ?? "" } })}
        />
      )}
    </Panel>
  );
}
