import { Link, useParams, useSearch } from "@tanstack/react-router";
import { ChevronRight, FileQuestion } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from "react";

import { ApiError } from "@/api/client";
import { useFeed } from "@/api/feed";
import { useJob } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { buttonClass } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { Status } from "@/components/Status";
import tabStyles from "@/components/Tabs.module.css";
import { shortId } from "@/lib/format";
import { useTitle } from "@/lib/title";

import { JobButtons } from "./JobButtons";
import styles from "./JobPage.module.css";
import { Overview } from "./Overview";
import { RemovedPart, removedPart } from "./RemovedParts";
import type { JobTab } from "./search";

const metrics = () => import("./metrics/MetricsTab");
const MetricsTab = lazy(() => metrics().then((module) => ({ default: module.MetricsTab })));
const LogsTab = lazy(() => import("./logs/LogsTab").then((module) => ({ default: module.LogsTab })));
const ArtifactsTab = lazy(() => import("./artifacts/ArtifactsTab").then((module) => ({ default: module.ArtifactsTab })));
const CodeTab = lazy(() => import("./code/CodeTab").then((module) => ({ default: module.CodeTab })));

const SystemTab = lazy(() => import("./metrics/SystemTab").then((module) => ({ default: module.SystemTab })));

const FILLING = new Set<JobTab>(["logs", "code", "artifacts"]);

export function JobPage() {
  const { jobId } = useParams({ from: "/jobs/$jobId" });
  const { tab = "overview" } = useSearch({ from: "/jobs/$jobId" });
  const { data, error, refetch } = useJob(jobId);
  const deleted = useDeleted(data?.job_id);
  // While the job is on its way; most of those who come look at its curves sooner or later.
  useEffect(() => void metrics(), []);
  useTitle(data ? `${data.name ?? shortId(data.job_id)}: ${tab}` : "Job");
  if (deleted || (error instanceof ApiError && error.status === 404)) return <Gone deleted={deleted} jobId={jobId} />;
  if (data === undefined) {
    return <main id="main" className={styles["page"]}>{error !== null ? <Trouble error={error} retry={() => void refetch()} /> : <Skeleton height={420} />}</main>;
  }
  return (
    <>
      <Head job={data} />
      <Tabs job={data} tab={tab} />
      <main id="main" className={`${styles["page"]} ${FILLING.has(tab) ? styles["fill"] : ""}`}>
        <Suspense fallback={<Skeleton height={320} />}>
          {tab === "overview" && <Overview job={data} />}
          {tab === "metrics" && <MetricsTab job={data} />}
          {tab === "logs" && <Kept job={data} what="log" tab={<LogsTab job={data} />} />}
          {tab === "artifacts" && <Kept job={data} what="artifacts" tab={<ArtifactsTab job={data} />} />}
          {tab === "code" && <CodeTab job={data} />}
          {tab === "system" && <SystemTab job={data} />}
        </Suspense>
      </main>
    </>
  );
}

/** A tab, unless what it shows was removed. */
function Kept({ job, what, tab }: { job: JobDetails; what: string; tab: ReactNode }) {
  const part = removedPart(job, what);
  return part === undefined ? tab : <RemovedPart part={part} />;
}

function useDeleted(jobId: string | undefined): boolean {
  const [deleted, setDeleted] = useState<string | null>(null);
  const [seen, setSeen] = useState(false);
  useFeed(
    (change) => {
      const gone = change.kind === "jobs" && jobId !== undefined && change.deleted.includes(jobId);
      if (gone) setDeleted(jobId ?? null);
      return gone;
    },
    () => setSeen(true),
  );
  useEffect(() => setSeen(false), [jobId]);
  return seen && deleted === jobId;
}

function Head({ job }: { job: JobDetails }) {
  return (
    <header className={styles["head"]}>
      <div className={styles["titles"]}>
        <nav className={styles["crumbs"]} aria-label="Where this is">
          <Link to="/projects/$project/jobs" params={{ project: job.project }}>
            {job.project}
          </Link>
          <ChevronRight aria-hidden size={13} />
          <span>job</span>
        </nav>
        <div className={styles["title"]}>
          <h1>{job.name ?? <span className="mono">{shortId(job.job_id)}</span>}</h1>
          <Status state={job.state} badge />
          <span className={styles["id"]}>
            <span className="mono">{job.name === null ? "" : shortId(job.job_id)}</span>
            <CopyButton text={job.job_id} label="Copy the ID" />
          </span>
        </div>
      </div>
      <JobButtons job={job} />
    </header>
  );
}

function Tabs({ job, tab }: { job: JobDetails; tab: JobTab }) {
  const tabs: [JobTab, string, number | null][] = [
    ["overview", "Overview", null],
    ["metrics", "Metrics", Object.keys(job.metrics).length],
    ["logs", "Logs", null],
    ["artifacts", "Artifacts", new Set(job.artifacts.map((artifact) => artifact.key)).size],
    ["code", "Code", null],
    ["system", "System", null],
  ];
  const bar = useRef<HTMLElement>(null);
  // On a phone not all of them are in sight.
  useEffect(() => {
    bar.current?.querySelector("[aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [tab]);
  return (
    <div className={styles["tabs"]}>
      <nav ref={bar} className={tabStyles["tabs"]} aria-label="Job">
        {tabs.map(([key, title, count]) => (
          <Link
            key={key}
            to="/jobs/$jobId"
            params={{ jobId: job.job_id }}
            search={key === "overview" ? {} : { tab: key }}
            className={tabStyles["tab"]}
            activeOptions={{ exact: true }}
            aria-current={key === tab ? "page" : undefined}
          >
            {title} {count !== null && count > 0 && <span className={tabStyles["count"]}>{count}</span>}
          </Link>
        ))}
      </nav>
    </div>
  );
}

function Gone({ deleted, jobId }: { deleted: boolean; jobId: string }) {
  return (
    <main id="main">
      <Empty icon={FileQuestion} title={deleted ? "This job was deleted" : "There is no such job"}>
        <p>
          {deleted ? "What it recorded went with it." : `No job has the ID or name “${jobId}”; it may have been deleted.`}
        </p>
        <Link to="/projects" className={buttonClass({ kind: "primary" })}>
          All projects
        </Link>
      </Empty>
    </main>
  );
}
