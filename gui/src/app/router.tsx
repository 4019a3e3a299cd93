import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";

import { columnsOptions, jobOptions, projectOptions } from "@/api/queries";
import { parseCompareSearch } from "@/features/compare/search";
import { parseJobSearch } from "@/features/job/search";
import { parseJobsSearch } from "@/features/jobs/search";
import { parseOverviewSearch } from "@/features/project/search";
import { parseProjectsSearch } from "@/features/projects/search";
import { ROOT } from "@/lib/root";

import { Missing, PageTrouble } from "./Missing";
import { readAhead } from "./reading";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: Missing, errorComponent: PageTrouble });

const index = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/projects" });
  },
});

const projects = createRoute({
  getParentRoute: () => root,
  path: "/projects",
  validateSearch: parseProjectsSearch,
  component: lazyRouteComponent(() => import("@/features/projects/ProjectsPage"), "ProjectsPage"),
});

const project = createRoute({
  getParentRoute: () => root,
  path: "/projects/$project",
  loader: ({ params }) => readAhead(projectOptions(params.project)),
  component: lazyRouteComponent(() => import("@/features/project/ProjectLayout"), "ProjectLayout"),
});

const projectIndex = createRoute({
  getParentRoute: () => project,
  path: "/",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/projects/$project/jobs", params });
  },
});

// The address that this page had before.
const jobListing = createRoute({
  getParentRoute: () => project,
  path: "job_listing",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/projects/$project/jobs", params });
  },
});

const jobs = createRoute({
  getParentRoute: () => project,
  path: "jobs",
  validateSearch: parseJobsSearch,
  loader: ({ params }) => readAhead(columnsOptions(params.project)),
  component: lazyRouteComponent(() => import("@/features/jobs/JobsPage"), "JobsPage"),
});

const overview = createRoute({
  getParentRoute: () => project,
  path: "overview",
  validateSearch: parseOverviewSearch,
  component: lazyRouteComponent(() => import("@/features/project/OverviewPage"), "OverviewPage"),
});

const searches = createRoute({
  getParentRoute: () => project,
  path: "searches",
  component: lazyRouteComponent(() => import("@/features/searches/SearchesPage"), "SearchesPage"),
});

const search = createRoute({
  getParentRoute: () => root,
  path: "/searches/$name",
  component: lazyRouteComponent(() => import("@/features/searches/SearchPage"), "SearchPage"),
});

const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$jobId",
  validateSearch: parseJobSearch,
  loader: ({ params }) => readAhead(jobOptions(params.jobId)),
  component: lazyRouteComponent(() => import("@/features/job/JobPage"), "JobPage"),
});

const queue = createRoute({
  getParentRoute: () => root,
  path: "/queue",
  component: lazyRouteComponent(() => import("@/features/queue/QueuePage"), "QueuePage"),
});

const nodes = createRoute({
  getParentRoute: () => root,
  path: "/nodes",
  component: lazyRouteComponent(() => import("@/features/nodes/NodesPage"), "NodesPage"),
});

const account = createRoute({
  getParentRoute: () => root,
  path: "/account",
  component: lazyRouteComponent(() => import("@/features/accounts/AccountPage"), "AccountPage"),
});

const users = createRoute({
  getParentRoute: () => root,
  path: "/users",
  component: lazyRouteComponent(() => import("@/features/accounts/UsersPage"), "UsersPage"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  component: lazyRouteComponent(() => import("@/features/accounts/AuditPage"), "AuditPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: parseCompareSearch,
  component: lazyRouteComponent(() => import("@/features/compare/ComparePage"), "ComparePage"),
});

export const router = createRouter({
  basepath: ROOT || "/",
  routeTree: root.addChildren([
    index,
    projects,
    project.addChildren([projectIndex, jobListing, jobs, overview, searches]),
    search,
    job,
    queue,
    nodes,
    compare,
    account,
    users,
    audit,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: PageTrouble,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
