import { Link } from "@tanstack/react-router";

import type { Project } from "@/api/types";
import { StateBar } from "@/components/Meter";
import { Tip } from "@/components/Tip";
import { useNow } from "@/lib/clock";
import { formatAgo, formatDate, formatNumber, plural } from "@/lib/format";

import { ProjectMenu } from "@/features/actions/ProjectMenu";
import styles from "./ProjectsPage.module.css";

export function ProjectItem({ project }: { project: Project }) {
  const now = useNow(false);
  const { jobs } = project;
  const total = Object.values(jobs).reduce((sum, count) => sum + count, 0);
  const running = (jobs["running"] ?? 0) + (jobs["starting"] ?? 0) + (jobs["stopping"] ?? 0);
  const active = project.last_active_at ?? project.last_submitted_at ?? project.created_at;
  return (
    <li className={styles["item"]}>
      <div style={{ minWidth: 0 }}>
        <Link to="/projects/$project/jobs" params={{ project: project.name }} className={styles["name"]} title={project.name}>
          {project.name}
        </Link>
        <div className={styles["text"]}>
          {project.archived_at !== null && "Archived. "}
          {firstLine(project.description) || `since ${formatDate(project.created_at).split(",").slice(0, 2).join(",")}`}
        </div>
      </div>
      <div className={styles["jobs"]}>
        <div className={`${styles["counts"]} num`}>
          <span>{plural(total, "job")}</span>
          {running > 0 && <span className={styles["busy"]}>{running} running</span>}
          {(jobs["queued"] ?? 0) > 0 && <span className={styles["wait"]}>{jobs["queued"]} waiting</span>}
          {(jobs["failed"] ?? 0) > 0 && <span className={styles["bad"]}>{jobs["failed"]} failed</span>}
        </div>
        <StateBar counts={jobs} />
      </div>
      <div className={styles["best"]}>
        {project.best !== null && (
          <>
            <strong>{formatNumber(project.best.value)}</strong>
            <span className={styles["text"]}>
              {project.best.goal === "min" ? "lowest" : "highest"} {project.best.metric}
            </span>
          </>
        )}
      </div>
      <Tip text={formatDate(active)}>
        <time className={styles["when"]} dateTime={new Date(active * 1000).toISOString()}>
          {formatAgo(active, now)}
        </time>
      </Tip>
      <div className={styles["menu"]}>
        <ProjectMenu project={project} />
      </div>
    </li>
  );
}

function firstLine(markdown: string): string {
  return (markdown.split("\n").find((line) => line.trim() !== "") ?? "").replace(/^[#>*\s-]+/, "").replaceAll(/[*_`]/g, "");
}
