/** What the pages do. */

import type { QueryClient } from "@tanstack/react-query";

import { ROOT } from "@/lib/root";

import { address, part, send } from "./client";
import { selectionParams, type Selection } from "./queries";
import type { BulkResult, JobRow, Note, Project } from "./types";

export type BulkAction = "stop" | "delete" | "rerun" | "tag" | "untag" | "priority";

export interface Bulk {
  action: BulkAction;
  jobs?: readonly string[];
  query?: string;
  project?: string;
  tz?: string;
  dry_run?: boolean;
  expected?: number;
  tags?: Record<string, string>;
  keys?: readonly string[];
  changes?: Record<string, unknown>;
  priority?: number;
}

export function bulk(order: Bulk): Promise<BulkResult> {
  return send<BulkResult>("POST", "/bulk", order);
}

export function stopJob(jobId: string): Promise<{ job_id: string; state: string }> {
  return send("POST", `/jobs/${part(jobId)}/stop`);
}

export function rerunJob(jobId: string, changes: Record<string, unknown>): Promise<JobRow> {
  return send("POST", `/jobs/${part(jobId)}/rerun`, changes);
}

export function deleteJob(jobId: string): Promise<unknown> {
  return send("DELETE", `/jobs/${part(jobId)}`);
}

export interface JobEdit {
  name?: string | null;
  notes?: string | null;
  tags?: Record<string, string>;
  untag?: readonly string[];
}

export function editJob(jobId: string, edit: JobEdit): Promise<JobRow> {
  return send("PATCH", `/jobs/${part(jobId)}`, edit);
}

export interface ProjectEdit {
  name?: string;
  description?: string;
  archived?: boolean;
  metric?: string | null;
  goals?: Record<string, "min" | "max">;
}

export function editProject(name: string, edit: ProjectEdit): Promise<Project> {
  return send("PATCH", `/projects/${part(name)}`, edit);
}

export function deleteProject(name: string): Promise<{ deleted: number }> {
  return send("DELETE", `/projects/${part(name)}`);
}

export function addNote(project: string, body: string, author?: string): Promise<Note> {
  return send("POST", `/projects/${part(project)}/notes`, author ? { body, author } : { body });
}

export function editNote(project: string, id: number, body: string): Promise<Note> {
  return send("PATCH", `/projects/${part(project)}/notes/${id}`, { body });
}

export function deleteNote(project: string, id: number): Promise<void> {
  return send("DELETE", `/projects/${part(project)}/notes/${id}`);
}

/** Start the TensorBoard of these jobs, or find the one that runs; answers where it is. */
export async function openTensorBoard(jobs: readonly string[]): Promise<string> {
  const { path } = await send<{ path: string }>("POST", "/tensorboards", { jobs });
  return ROOT + path;
}

export type Move = { priority: number } | { before: string } | { to: "front" | "back" };

export function moveJob(job: string, move: Move): Promise<JobRow> {
  return send("POST", "/queue/move", { job, ...move });
}

export function clearQueue(project?: string): Promise<{ cleared: string[] }> {
  return send("DELETE", "/queue", undefined, { project });
}

export function exportAddress(selection: Selection, columns: readonly string[] | undefined, format: "csv" | "json" | "jsonl" | "parquet"): string {
  return address("/export", { ...selectionParams(selection), columns, format });
}

export function artifactAddress(jobId: string, key: string, version?: number, more: { path?: string; download?: boolean } = {}): string {
  const { path, download } = more;
  return address(`/jobs/${part(jobId)}/artifacts/content`, { key, version, path, download: download ? 1 : undefined });
}

export function fileAddress(jobId: string, of: "code" | "results", path: string, download = false): string {
  return address(`/jobs/${part(jobId)}/files/content`, { of, path, download: download ? 1 : undefined });
}

/** Read anew what an action changed, without waiting for the feed to say so. */
export function refresh(client: QueryClient, ...keys: string[]): void {
  for (const key of keys) void client.invalidateQueries({ queryKey: [key] });
}
