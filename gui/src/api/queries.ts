/** What the pages read. Each hook says which changes of the feed make its answer old. */

import { keepPreviousData, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";

import { address, get, type Params, part, send } from "./client";
import { type Change, useFeed } from "./feed";
import { listen } from "./stream";
import type {
  Artifact,
  Columns,
  ColumnValues,
  Curve,
  Difference,
  Groups,
  JobDetails,
  JobFile,
  JobPage,
  Measured,
  Node,
  Note,
  Project,
  Queue,
  ServerFacts,
  Values,
} from "./types";

/** Read again what begins with `key`, where it is shown, after changes that matter. */
export function useRefresh(key: readonly unknown[], matters: (change: Change) => boolean, pause?: number): void {
  const client = useQueryClient();
  const text = JSON.stringify(key);
  const act = useCallback(() => {
    void client.invalidateQueries({ queryKey: JSON.parse(text) as unknown[] });
  }, [client, text]);
  useFeed(matters, act, pause);
}

const moved = (change: Change) => change.kind === "jobs";

export function useServer() {
  useRefresh(["server"], moved, 1000);
  return useQuery({ queryKey: ["server"], queryFn: ({ signal }) => get<ServerFacts>("/server", {}, signal) });
}

export function useProjects(archived: "all" | "true" | undefined = undefined) {
  useRefresh(["projects"], (change) => change.kind === "jobs" || change.kind === "projects", 1500);
  return useQuery({
    queryKey: ["projects", archived ?? "active"],
    queryFn: async ({ signal }) => (await get<{ projects: Project[] }>("/projects", { archived }, signal)).projects,
  });
}

export function projectOptions(name: string) {
  return queryOptions({
    queryKey: ["project", name],
    queryFn: ({ signal }) => get<Project>(`/projects/${part(name)}`, {}, signal),
  });
}

export function useProject(name: string) {
  useRefresh(["project", name], (change) => change.kind === "projects" || change.kind === "jobs", 1500);
  return useQuery(projectOptions(name));
}

export function useNotes(project: string) {
  useRefresh(["notes", project], (change) => change.kind === "projects");
  return useQuery({
    queryKey: ["notes", project],
    queryFn: async ({ signal }) => (await get<{ notes: Note[] }>(`/projects/${part(project)}/notes`, {}, signal)).notes,
  });
}

export function columnsOptions(project: string | undefined) {
  return queryOptions({
    queryKey: ["columns", project ?? null],
    queryFn: ({ signal }) => get<Columns>("/columns", { project }, signal),
  });
}

export function useColumns(project: string | undefined) {
  useRefresh(["columns", project ?? null], (change) => change.kind === "jobs" || change.kind === "recorded", 3000);
  return useQuery({ ...columnsOptions(project), placeholderData: keepPreviousData });
}

export function useColumnValues(project: string | undefined, column: string, enabled = true) {
  return useQuery({
    queryKey: ["column-values", project ?? null, column],
    queryFn: ({ signal }) => get<ColumnValues>("/columns/values", { project, column, limit: 50 }, signal),
    enabled,
  });
}

/** The reader's time zone: what days and months in a query mean. */
export const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export interface Selection {
  project?: string | undefined;
  query?: string | undefined;
  sort?: readonly string[] | undefined;
}

export function selectionParams({ project, query, sort }: Selection): Params {
  return { project, query: query || undefined, sort, tz: TIME_ZONE };
}

export function listing(selection: Selection, more: Params, signal?: AbortSignal): Promise<JobPage> {
  return get<JobPage>("/listing", { ...selectionParams(selection), ...more }, signal);
}

export function useValues(selection: Selection, columns: readonly string[], enabled = true) {
  const key = ["values", selection, columns] as const;
  useRefresh(["values"], (change) => change.kind === "jobs" || change.kind === "recorded", 3000);
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<Values>("/values", { ...selectionParams(selection), columns, limit: 10_000 }, signal),
    placeholderData: keepPreviousData,
    enabled: enabled && columns.length > 0,
  });
}

export function useGroups(selection: Selection, by: readonly string[], metrics: readonly string[]) {
  useRefresh(["groups"], (change) => change.kind === "jobs" || change.kind === "recorded", 3000);
  return useQuery({
    queryKey: ["groups", selection, by, metrics],
    queryFn: ({ signal }) => get<Groups>("/groups", { ...selectionParams(selection), by, metrics }, signal),
    placeholderData: keepPreviousData,
    enabled: by.length > 0 && metrics.length > 0,
  });
}

/** Jobs by a text as one types it: at most eight. */
export function useJobSearch(text: string) {
  return useQuery({
    queryKey: ["search", text],
    queryFn: async ({ signal }) => {
      const query = text === "" ? undefined : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
      const page = await get<JobPage>("/listing", { query, limit: 8, columns: "" }, signal);
      return page.jobs;
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
}

export function jobOptions(reference: string) {
  return queryOptions({
    queryKey: ["job", reference],
    queryFn: ({ signal }) => get<JobDetails>(`/jobs/${part(reference)}`, {}, signal),
  });
}

/** A change that concerns one of these jobs. */
export function concerns(...ids: (string | undefined)[]): (change: Change) => boolean {
  return (change) =>
    (change.kind === "jobs" && ids.some((id) => id !== undefined && change.jobs.includes(id))) ||
    (change.kind === "recorded" && ids.some((id) => id !== undefined && change.jobs.includes(id)));
}

export function useJob(reference: string) {
  const found = useQuery(jobOptions(reference));
  useRefresh(["job", reference], concerns(found.data?.job_id ?? reference), 1000);
  return found;
}

export function useArtifacts(jobId: string) {
  useRefresh(["artifacts", jobId], concerns(jobId), 1000);
  return useQuery({
    queryKey: ["artifacts", jobId],
    queryFn: async ({ signal }) => (await get<{ artifacts: Artifact[] }>(`/jobs/${part(jobId)}/artifacts`, {}, signal)).artifacts,
  });
}

export function useFiles(jobId: string, of: "code" | "results", enabled = true) {
  return useQuery({
    queryKey: ["files", jobId, of],
    queryFn: async ({ signal }) => (await get<{ files: JobFile[] }>(`/jobs/${part(jobId)}/files`, { of }, signal)).files,
    enabled,
  });
}

export function useDifference(first: string, second: string | undefined) {
  return useQuery({
    queryKey: ["diff", first, second],
    queryFn: ({ signal }) => get<Difference>(`/jobs/${part(first)}/diff/${part(second ?? "")}`, {}, signal),
    enabled: second !== undefined,
  });
}

export interface CurveWish {
  job: string;
  metric: string;
}

/** A stretch of an axis that is looked at closely. */
export interface CurveRange {
  axis: "step" | "time" | "seq";
  from: number;
  to: number;
}

export function useCurves(wishes: readonly CurveWish[], points: number, range: CurveRange | null = null) {
  const ids = [...new Set(wishes.map((wish) => wish.job))];
  useRefresh(["curves"], (change) => change.kind === "recorded" && change.jobs.some((id) => ids.includes(id)), 1000);
  return useQuery({
    queryKey: ["curves", wishes, points, range],
    queryFn: async () => {
      const parts: Promise<{ curves: Curve[] }>[] = [];
      for (let at = 0; at < wishes.length; at += 500) {
        parts.push(send<{ curves: Curve[] }>("POST", "/curves", { curves: wishes.slice(at, at + 500), points, ...range }));
      }
      return (await Promise.all(parts)).flatMap((found) => found.curves);
    },
    placeholderData: keepPreviousData,
    enabled: wishes.length > 0,
  });
}

/** What a job used, moment by moment. */
export function useMeasured(jobId: string) {
  useRefresh(["measured", jobId], concerns(jobId), 3000);
  return useQuery({
    queryKey: ["measured", jobId],
    queryFn: ({ signal }) => get<Measured>(`/jobs/${part(jobId)}/system`, { points: 1500 }, signal),
  });
}

export function useQueue() {
  useRefresh(["queue"], moved, 500);
  return useQuery({ queryKey: ["queue"], queryFn: ({ signal }) => get<Queue>("/queue", {}, signal) });
}

/** How busy machines are is told while somebody looks: the stream begins with what is, and goes on. */
export function useNodes() {
  const client = useQueryClient();
  useEffect(() => listen(address("/nodes/live"), { on: { nodes: ({ nodes }) => client.setQueryData(["nodes"], nodes) } }), [client]);
  return useQuery({
    queryKey: ["nodes"],
    queryFn: async ({ signal }) => (await get<{ nodes: Node[] }>("/nodes", {}, signal)).nodes,
  });
}
