import { Link } from "@tanstack/react-router";
import { Server } from "lucide-react";

import { useNodes } from "@/api/queries";
import type { Node } from "@/api/types";
import { Meter } from "@/components/Meter";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { formatBytes, formatMemory, formatNumber, plural, shortId } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import styles from "./NodesPage.module.css";

/** The machines: what is given to jobs, and how busy they really are. */
export function NodesPage() {
  useTitle("Nodes");
  const { data, error, refetch } = useNodes();
  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Nodes</h1>
      </div>
      {data === undefined ? (
        error === null ? <Skeleton height={280} /> : <Trouble error={error} retry={() => void refetch()} />
      ) : data.length === 0 ? (
        <Panel flush>
          <Empty icon={Server} title="No machine is there to run jobs" command="atlas-server status" />
        </Panel>
      ) : (
        <div className={styles["grid"]}>
          {data.map((node) => (
            <NodePanel key={node.name} node={node} />
          ))}
        </div>
      )}
    </main>
  );
}

function NodePanel({ node }: { node: Node }) {
  const { live, used } = node;
  return (
    <Panel title={node.name} tools={<span className={node.accepting ? styles["up"] : styles["down"]}>{node.drained ?? node.condition ?? (node.accepting ? "takes jobs" : "takes no new jobs")}</span>}>
      {node.pools.length > 0 && <p style={{ color: "var(--ink-3)", margin: 0 }}>in {node.pools.join(", ")}</p>}
      <h3 className={styles["sub"]} style={{ marginTop: 0 }}>
        Given to jobs
      </h3>
      <div className={styles["meters"]}>
        <Meter label="CPUs" used={used.cpus} total={node.cpus} text={`${formatNumber(used.cpus)} of ${formatNumber(node.cpus)}`} />
        <Meter label="Memory" used={used.memory} total={node.memory} text={`${formatMemory(used.memory)} of ${formatMemory(node.memory)}`} />
        {node.gpus.length > 0 && <Meter label="GPUs" used={used.gpus.length} total={node.gpus.length} text={`${used.gpus.length} of ${node.gpus.length}`} />}
      </div>
      {live !== null && (
        <>
          <h3 className={styles["sub"]}>Right now</h3>
          <div className={styles["meters"]}>
            <Meter label="CPU" used={live.cpu_percent} total={100} text={`${Math.round(live.cpu_percent)} %, load ${formatNumber(Number(live.load.toPrecision(2)))}`} />
            <Meter label="Memory" used={live.memory_used} total={live.memory_total} text={`${formatMemory(live.memory_used)} of ${formatMemory(live.memory_total)}`} />
            <Meter label="Disk" used={live.disk_used} total={live.disk_total} text={`${formatBytes(live.disk_used)} of ${formatBytes(live.disk_total)}`} />
          </div>
        </>
      )}
      {node.gpus.length > 0 && <Gpus node={node} />}
      {node.gpu_trouble !== null && node.gpus.length > 0 && <p className={styles["down"]}>{node.gpu_trouble}</p>}
      <h3 className={styles["sub"]}>{node.jobs.length === 0 ? "No jobs" : plural(node.jobs.length, "job")}</h3>
      <ul className={styles["jobs"]}>
        {node.jobs.map((job) => (
          <li key={job.job_id}>
            <Link to="/jobs/$jobId" params={{ jobId: job.job_id }}>
              {job.name ?? shortId(job.job_id)}
            </Link>
            <span style={{ color: "var(--ink-3)" }}>{job.project}</span>
            <span className="num">
              {plural(job.cpus, "CPU")}
              {job.gpus.length > 0 && `, ${plural(job.gpus.length, "GPU")}`}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Gpus({ node }: { node: Node }) {
  return (
    <>
      <h3 className={styles["sub"]}>GPUs</h3>
      <div className={styles["gpus"]}>
        {node.gpus.map((gpu, index) => {
          const now = node.live?.gpus.find((one) => one.uuid === gpu.uuid);
          return (
            <Meter
              key={gpu.uuid}
              label={`${index} ${gpu.name}, ${gpu.used > 0 ? `${Math.round(gpu.used * 100)} % given out` : "free"}`}
              used={now?.memory_used ?? 0}
              total={now?.memory_total ?? gpu.memory}
              text={[now?.percent != null && `${Math.round(now.percent)} %`, `${formatMemory(now?.memory_used ?? 0)} of ${formatMemory(now?.memory_total ?? gpu.memory)}`, now?.watts != null && `${Math.round(now.watts)} W`].filter(Boolean).join(", ")}
            />
          );
        })}
      </div>
    </>
  );
}
