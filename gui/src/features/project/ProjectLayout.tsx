import { Link, Outlet, useMatchRoute, useParams } from "@tanstack/react-router";
import { FolderX } from "lucide-react";

import { ApiError } from "@/api/client";
import { useProject } from "@/api/queries";
import { buttonClass } from "@/components/Button";
import { Empty } from "@/components/Panel";
import tabs from "@/components/Tabs.module.css";
import { ProjectMenu } from "@/features/actions/ProjectMenu";

import styles from "./ProjectLayout.module.css";

/** A project's name and its pages. */
export function ProjectLayout() {
  const { project } = useParams({ from: "/projects/$project" });
  const { data, error } = useProject(project);
  const fills = useMatchRoute()({ to: "/projects/$project/jobs" }) !== false;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <main id="main">
        <Empty icon={FolderX} title={`There is no project “${project}”`}>
          <p>It may have been renamed or deleted.</p>
          <Link to="/projects" className={buttonClass({ kind: "primary" })}>
            All projects
          </Link>
        </Empty>
      </main>
    );
  }
  const total = data && Object.values(data.jobs).reduce((sum, count) => sum + count, 0);
  return (
    <div className={`${styles["layout"]} ${fills ? styles["fill"] : ""}`}>
      <header className={styles["head"]}>
        <div className={styles["title"]}>
          <h1 title={project}>{project}</h1>
          {data && <ProjectMenu project={data} leave />}
        </div>
        <nav className={tabs["tabs"]} aria-label="Project">
          <Link to="/projects/$project/jobs" params={{ project }} className={tabs["tab"]}>
            Jobs {total !== undefined && <span className={tabs["count"]}>{total.toLocaleString("en")}</span>}
          </Link>
          <Link to="/projects/$project/searches" params={{ project }} className={tabs["tab"]}>
            Searches
          </Link>
          <Link to="/projects/$project/overview" params={{ project }} className={tabs["tab"]}>
            Overview
          </Link>
        </nav>
      </header>
      <Outlet />
    </div>
  );
}
