/** Limits and shares: who may have how much, and who has how much. */

import { useQuery } from "@tanstack/react-query";

import { get, part, send } from "./client";
import { useRefresh } from "./queries";
import type { Limited, Limits } from "./types";

export function useLimits() {
  useRefresh(["limits"], (change) => change.kind === "jobs", 1500);
  return useQuery({
    queryKey: ["limits"],
    queryFn: async ({ signal }) => (await get<{ limits: Limited[] }>("/limits", {}, signal)).limits,
  });
}

/** Null takes a limit back. */
export function setLimits(kind: Limited["kind"], name: string, limits: Partial<Limits>): Promise<unknown> {
  return send("PATCH", "/limits", { kind, name, limits });
}

export function removeLimits({ kind, name }: Limited): Promise<unknown> {
  return send("DELETE", `/limits/${kind}/${part(name)}`);
}
