/** Searches: what the pages read of them, and do with them. */

import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";

import { get, part, send } from "./client";
import type { Change } from "./feed";
import { useRefresh } from "./queries";
import type { Search, SearchDetails, Trial } from "./types";

const told = (name: string) => (change: Change) => change.kind === "searches" && change.searches.includes(name);

export function useSearches(project: string) {
  // Loops have no events of their own: their jobs have.
  useRefresh(["searches", project], (change) => change.kind === "searches" || change.kind === "jobs", 1500);
  return useQuery({
    queryKey: ["searches", project],
    queryFn: async ({ signal }) => (await get<{ searches: Search[] }>("/searches", { project, limit: 500 }, signal)).searches,
  });
}

export function useSearchDetails(name: string) {
  useRefresh(["search-details", name], told(name), 800);
  return useQuery({
    queryKey: ["search-details", name],
    queryFn: ({ signal }) => get<SearchDetails>(`/searches/${part(name)}`, {}, signal),
  });
}

/** The kind of a search where its details are refused: a loop has jobs only. */
export function useSearchRow(name: string, enabled: boolean) {
  return useQuery({
    queryKey: ["search-row", name],
    queryFn: ({ signal }) => get<Search>(`/searches/${part(name)}/row`, {}, signal),
    enabled,
  });
}

export function useTrials(name: string) {
  const client = useQueryClient();
  useRefresh(["trials", name], told(name), 1500);
  return useQuery({
    queryKey: ["trials", name],
    queryFn: async ({ signal }) => {
      const known = settled(client.getQueryData<Trial[]>(["trials", name]) ?? []);
      const after = known.at(-1)?.number;
      return [...known, ...(await get<{ trials: Trial[] }>(`/searches/${part(name)}/trials`, { after }, signal)).trials];
    },
  });
}

/** The trials before the first that is not over: nothing of them will change, so they are read once. */
export function settled(trials: readonly Trial[]): Trial[] {
  const open = trials.findIndex((trial) => trial.finished_at === null);
  return open < 0 ? [...trials] : trials.slice(0, open);
}

/** The objective while trials run: [step, value] by the trial's number. */
export function useTrialCurves(name: string, enabled: boolean) {
  useRefresh(["trial-curves", name], told(name), 3000);
  return useQuery({
    queryKey: ["trial-curves", name],
    queryFn: async ({ signal }) => (await get<{ curves: Record<string, [number, number][]> }>(`/searches/${part(name)}/curves`, {}, signal)).curves,
    enabled,
  });
}

export function useImportance(name: string, objective: string) {
  useRefresh(["importance", name], told(name), 5000);
  return useQuery({
    queryKey: ["importance", name, objective],
    queryFn: ({ signal }) => get<{ trials: number; importance: Record<string, number> }>(`/searches/${part(name)}/importance`, { objective }, signal),
    placeholderData: keepPreviousData,
  });
}

export function useReproduce(jobId: string | undefined) {
  return useQuery({
    queryKey: ["reproduce", jobId],
    queryFn: ({ signal }) => get<{ command: string }>(`/jobs/${part(jobId ?? "")}/reproduce`, {}, signal),
    enabled: jobId !== undefined,
  });
}

export function stopSearch(name: string, running: boolean): Promise<Search> {
  return send("POST", `/searches/${part(name)}/stop`, { running });
}

export function resumeSearch(name: string): Promise<Search> {
  return send("POST", `/searches/${part(name)}/resume`, {});
}

export interface More {
  trials?: number;
  time?: string;
  gpu_hours?: number;
  concurrency?: number;
}

export function extendSearch(name: string, more: More): Promise<Search> {
  return send("POST", `/searches/${part(name)}/extend`, more);
}
