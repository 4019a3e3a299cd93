import { useNavigate, useSearch } from "@tanstack/react-router";
import { FolderKanban, SearchX } from "lucide-react";
import { useMemo } from "react";

import { useProjects } from "@/api/queries";
import type { Project } from "@/api/types";
import { SearchInput, Select, Switch } from "@/components/Field";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { plural } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import { ProjectItem } from "./ProjectItem";
import styles from "./ProjectsPage.module.css";
import { ORDERS, parseProjectsSearch, type ProjectOrder, type ProjectsSearch } from "./search";

export function jobCount(project: Project): number {
  return Object.values(project.jobs).reduce((sum, count) => sum + count, 0);
}

export function ProjectsPage() {
  useTitle("Projects");
  const { find = "", sort = "active", archived = false } = useSearch({ from: "/projects" });
  const navigate = useNavigate({ from: "/projects" });
  const change = (search: ProjectsSearch) => void navigate({ search: (old: ProjectsSearch) => clean({ ...old, ...search }), replace: true });
  const { data, error, refetch } = useProjects(archived ? "all" : undefined);
  const shown = useMemo(() => arranged(data ?? [], find, sort), [data, find, sort]);

  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Projects</h1>
        <SearchInput label="Find a project" className={styles["search"]} value={find} onChange={(event) => change({ find: event.target.value })} />
        <Select label="Order" value={sort} options={Object.entries(ORDERS) as [ProjectOrder, string][]} onChange={(now) => change({ sort: now })} />
        <Switch label="Archived" checked={archived} onChange={(now) => change({ archived: now })} />
      </div>
      {error !== null && data === undefined ? (
        <Trouble error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Skeleton height={260} />
      ) : shown.length > 0 ? (
        <>
          <ul className={styles["list"]} data-testid="projects">
            {shown.map((project) => (
              <ProjectItem key={project.name} project={project} />
            ))}
          </ul>
          <p className={page["dim"]}>{plural(shown.length, "project")}</p>
        </>
      ) : (
        <div className={styles["list"]}>{data.length === 0 ? <First archived={archived} /> : <NoneFits find={find} />}</div>
      )}
    </main>
  );
}

function First({ archived }: { archived: boolean }) {
  return (
    <Empty
      icon={FolderKanban}
      title={archived ? "There are no projects" : "No project yet"}
      command={["foundations init my_project", "foundations submit scheduler my_project main.py"]}
    >
      <p>A project is a folder whose jobs belong together. Make one, submit it, and it appears here.</p>
    </Empty>
  );
}

function NoneFits({ find }: { find: string }) {
  return (
    <Empty icon={SearchX} title={`No project is called “${find}”`}>
      <p>Names and descriptions are looked through. Archived projects are shown with the switch above.</p>
    </Empty>
  );
}

function clean(search: ProjectsSearch): ProjectsSearch {
  return parseProjectsSearch(search as Record<string, unknown>);
}

function arranged(projects: readonly Project[], find: string, sort: ProjectOrder): Project[] {
  const wanted = find.trim().toLowerCase();
  const fitting = projects.filter((project) => `${project.name}\n${project.description}`.toLowerCase().includes(wanted));
  const active = (project: Project) => project.last_active_at ?? project.last_submitted_at ?? project.created_at;
  const orders: Record<ProjectOrder, (a: Project, b: Project) => number> = {
    active: (a, b) => active(b) - active(a),
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
    jobs: (a, b) => jobCount(b) - jobCount(a),
    created: (a, b) => b.created_at - a.created_at,
  };
  return fitting.sort(orders[sort]);
}
