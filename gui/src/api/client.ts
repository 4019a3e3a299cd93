/** Requests to the server, and its errors as it words them. */

import { ROOT } from "@/lib/root";

export type Params = Record<string, string | number | boolean | readonly string[] | null | undefined>;

const BASE = `${ROOT}/api/v1`;

/** What the server refused or could not do; `message` says it in full. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly details: Record<string, unknown>,
  ) {
    super(hint ? `${message} ${hint}` : message);
    this.name = "ApiError";
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. Is it running? atlas-server status");
    this.name = "Unreachable";
  }
}

export function address(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "object") for (const item of value) query.append(name, item);
    else query.append(name, String(value));
  }
  const text = query.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

/** What `request` takes for an address that `address` has made. */
export function pathOf(href: string): string {
  return href.slice(BASE.length);
}

export async function request(path: string, params: Params = {}, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address(path, params), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

async function errorOf(answer: Response): Promise<ApiError> {
  try {
    const { error } = (await answer.json()) as { error: Record<string, unknown> };
    return new ApiError(
      answer.status,
      String(error["code"]),
      String(error["message"]),
      typeof error["hint"] === "string" ? error["hint"] : "",
      (error["details"] as Record<string, unknown> | null) ?? {},
    );
  } catch {
    return new ApiError(answer.status, "unknown", `The server answered ${answer.status}.`, "", {});
  }
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  const answer = await request(path, params, signal ? { signal } : {});
  return (await answer.json()) as T;
}

export async function send<T>(method: "POST" | "PATCH" | "PUT" | "DELETE", path: string, body?: unknown, params: Params = {}): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const answer = await request(path, params, init);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** A part of a path: whatever the name holds, it stays one part. */
export function part(name: string): string {
  return encodeURIComponent(name);
}
