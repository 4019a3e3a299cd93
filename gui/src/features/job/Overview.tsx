import { Link } from "@tanstack/react-router";
import { CircleX, Hourglass } from "lucide-react";

import type { JobDetails } from "@/api/types";
import { Duration } from "@/components/Duration";
import { Facts, Panel } from "@/components/Panel";
import { Status } from "@/components/Status";
import { type Head, Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { formatDate, formatDuration, formatMemory, formatNumber, formatValue, plural, quoted, shortId } from "@/lib/format";
import { askedFor } from "@/lib/resources";
import { describeReason } from "@/lib/states";
import page from "@/styles/page.module.css";

import { NotesPanel } from "./NotesPanel";
import styles from "./Overview.module.css";
import { RemovedParts } from "./RemovedParts";
import { TagsPanel } from "./TagsPanel";
import { Timeline } from "./Timeline";

/** Everything about a job that fits on one page. */
export function Overview({ job }: { job: JobDetails }) {
  return (
    <div className={page["columns"]}>
      <div className={page["stack"]}>
        <Standing job={job} />
        <RemovedParts job={job} />
        <MetricsPanel job={job} />
        <ParamsPanel job={job} />
        <NotesPanel job={job} />
        <Timeline job={job} />
      </div>
      <div className={page["stack"]}>
        <JobFacts job={job} />
        <TagsPanel job={job} />
        <EnvironmentPanel job={job} />
      </div>
    </div>
  );
}

function Standing({ job }: { job: JobDetails }) {
  if (job.state === "failed" || (job.state === "stopped" && job.message)) {
    return (
      <div className={`${styles["state"]} ${job.state === "failed" ? styles["failed"] : ""}`}>
        <CircleX aria-hidden />
        <div>
          <strong>{capital(describeReason(job.reason) || job.state)}</strong>
          {job.message && <p>{job.message}</p>}
          <p>
            <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} search={{ tab: "logs" }}>
              See the end of its log
            </Link>
          </p>
        </div>
      </div>
    );
  }
  if (job.state === "queued") {
    return (
      <div className={`${styles["state"]} ${styles["waiting"]}`}>
        <Hourglass aria-hidden />
        <div>
          <strong>{job.jobs_ahead ? `Waits behind ${plural(job.jobs_ahead, "job")}` : "Waits"}</strong>
          <p>{job.waits_because ?? "It starts as soon as there is room."}</p>
        </div>
      </div>
    );
  }
  if (job.state === "starting" && job.message) {
    return (
      <div className={`${styles["state"]} ${styles["waiting"]}`}>
        <Hourglass aria-hidden />
        <div>
          <strong>Waits in its cluster</strong>
          <p>{job.message}</p>
        </div>
      </div>
    );
  }
  return null;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function MetricsPanel({ job }: { job: JobDetails }) {
  const metrics = Object.entries(job.metrics);
  if (metrics.length === 0) return null;
  const ranged = metrics.some(([, metric]) => metric.min != null);
  const heads = ["Last", ...(ranged ? ["Lowest", "Highest"] : []), "Points"].map((title): Head => ({ title, number: true }));
  return (
    <Panel title="Metrics" count={metrics.length} flush>
      <Table label="Metrics" tall heads={["Name", ...heads]}>
        {metrics.map(([name, metric]) => (
          <tr key={name}>
            <td className={styles["name"]}>{name}</td>
            <td className={`${cells["number"]}`} title={String(metric.value)}>
              <strong style={{ fontWeight: 560 }}>{formatValue(metric.value)}</strong>
            </td>
            {ranged && <td className={`${cells["number"]}`}>{metric.min == null ? "–" : formatNumber(metric.min)}</td>}
            {ranged && <td className={`${cells["number"]}`}>{metric.max == null ? "–" : formatNumber(metric.max)}</td>}
            <td className={`${cells["number"]}`}>{metric.count.toLocaleString("en")}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

function ParamsPanel({ job }: { job: JobDetails }) {
  const params = Object.entries(job.params);
  return (
    <Panel title="Parameters" count={params.length || undefined} flush>
      {params.length === 0 ? (
        <p className={styles["none"]} style={{ padding: "14px 16px" }}>
          None. <code>foundations.log_param("name", value)</code> records one, <code>--params</code> passes them.
        </p>
      ) : (
        <Table label="Parameters" tall>
          {params.map(([name, value]) => (
            <tr key={name}>
              <td className={styles["key"]}>{name}</td>
              <td className={`${styles["value"]} num`} title={formatValue(value)}>
                {formatValue(value)}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

/** Where the newest attempt is, the node of rank 0 first. */
function nodesOf(job: JobDetails): string[] {
  const held = job.attempt_list.at(-1)?.allocation;
  if (held === undefined) return [];
  const others = (held["others"] ?? []) as { node: string }[];
  return [held, ...others].map((part) => formatValue(part["node"])).filter((name) => name !== "");
}

function JobFacts({ job }: { job: JobDetails }) {
  const nodes = nodesOf(job);
  const command = [...(job.entrypoint ?? ["python"]), ...job.command].map(quoted).join(" ");
  const usage = job.usage;
  return (
    <Panel title="Job">
      <Facts
        rows={[
          ["State", <Status key="s" state={job.state} />],
          job.search !== null && ["Search", <Link key="s" to="/searches/$name" params={{ name: job.search }}>{job.search}</Link>],
          ["Duration", job.started_at === null ? "–" : <Duration job={job} />],
          ["Submitted", `${formatDate(job.submitted_at)} by ${job.user}`],
          job.started_at !== null && ["Waited", formatDuration(job.started_at - job.submitted_at)],
          ["Asked for", askedFor(job)],
          usage !== null && usage["cpu_seconds"] !== undefined && ["Used", `${formatDuration(usage["cpu_seconds"])} of CPU, ${formatMemory(usage["peak_memory"] ?? 0)} at most`],
          nodes.length > 0 && [nodes.length > 1 ? "Nodes" : "Node", nodes.join(", ")],
          job.priority !== 0 && ["Priority", job.priority],
          job.timeout !== null && ["Time limit", formatDuration(job.timeout)],
          job.attempts > 1 && ["Attempts", `${job.attempts} of up to ${job.retries + 1}`],
          job.exit_code !== null && ["Exit code", job.exit_code],
          job.rerun_of != null && [
            "Repeats",
            <Link key="r" to="/jobs/$jobId" params={{ jobId: job.rerun_of }}>
              {shortId(job.rerun_of)}
            </Link>,
          ],
          ["ID", <span key="i" className="mono">{job.job_id}</span>],
        ]}
      />
      <code className={styles["command"]} style={{ marginTop: 12 }}>
        {command}
      </code>
    </Panel>
  );
}

function EnvironmentPanel({ job }: { job: JobDetails }) {
  const environment = job.environment ?? {};
  const origin = (job.spec["origin"] ?? {}) as Record<string, unknown>;
  const packages = Object.entries((environment["packages"] ?? {}) as Record<string, string>);
  const git = origin["git"] as Record<string, unknown> | null | undefined;
  const variables = Object.entries((job.spec["environment"] ?? {}) as Record<string, string>);
  return (
    <Panel title="Environment">
      <Facts
        rows={[
          environment["python"] !== undefined && ["Python", formatValue(environment["python"])],
          environment["system"] !== undefined && ["System", formatValue(environment["system"])],
          environment["host"] !== undefined && ["Ran on", formatValue(environment["host"])],
          origin["directory"] !== undefined && ["From", `${formatValue(origin["host"])}:${formatValue(origin["directory"])}`],
          git != null && ["Git", `${formatValue(git["branch"])} ${formatValue(git["commit"]).slice(0, 10)}${git["dirty"] === true ? ", changed since" : ""}`],
          ...variables.map(([name, value]) => [name, value] as const),
        ]}
      />
      {packages.length > 0 && (
        <details style={{ marginTop: 12 }}>
          <summary>{plural(packages.length, "package")}</summary>
          <div className={styles["packages"]} style={{ marginTop: 8 }}>
            {packages.map(([name, version]) => (
              <div key={name}>
                <span>{name}</span>
                <span className="num">{version}</span>
              </div>
            ))}
          </div>
        </details>
      )}
    </Panel>
  );
}
