/** People: who is logged in, and what admins look after. */

import { queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { get, part, send } from "./client";
import type { AuditPage, Me, Role, Scope, SignedIn, Token, TokenMade, User } from "./types";

export function meOptions() {
  return queryOptions({
    queryKey: ["me"],
    queryFn: ({ signal }) => get<SignedIn>("/auth/me", {}, signal),
    staleTime: Infinity,
  });
}

export function useMe() {
  return useQuery(meOptions());
}

/** Whether the pages are for whoever is there: somebody logged in, or anybody where no one has to. */
export function isInside(me: SignedIn): boolean {
  return !me.authentication || me.user !== null;
}

export function useTokens() {
  return useQuery({
    queryKey: ["tokens"],
    queryFn: async ({ signal }) => (await get<{ tokens: Token[] }>("/tokens", {}, signal)).tokens,
    staleTime: 0,
  });
}

export function useUsers() {
  return useQuery({
    queryKey: ["users"],
    queryFn: async ({ signal }) => (await get<{ users: User[] }>("/users", {}, signal)).users,
    staleTime: 0,
  });
}

export function useAudit(user: string) {
  return useInfiniteQuery({
    queryKey: ["audit", user],
    queryFn: ({ pageParam, signal }) => get<AuditPage>("/audit", { user: user || null, before: pageParam }, signal),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
    staleTime: 0,
  });
}

export function logIn(user: string, password: string): Promise<{ user: Me }> {
  return send("POST", "/auth/login", { user, password, browser: true });
}

export function logOut(everywhere = false): Promise<void> {
  return send("POST", "/auth/logout", { everywhere });
}

export function changePassword(old: string, now: string): Promise<void> {
  return send("POST", "/auth/password", { old, new: now });
}

export function createToken(name: string, scope: Scope, days: number | null): Promise<TokenMade> {
  return send("POST", "/tokens", { name, scope, lifetime: days === null ? null : days * 86400 });
}

export function revokeToken(id: number): Promise<void> {
  return send("DELETE", `/tokens/${id}`);
}

export function addUser(name: string, role: Role, password: string | null): Promise<User> {
  return send("POST", "/users", { name, role, password });
}

export function changeUser(name: string, change: { role?: Role; password?: string }): Promise<User> {
  return send("PATCH", `/users/${part(name)}`, change);
}

export function removeUser(name: string): Promise<void> {
  return send("DELETE", `/users/${part(name)}`);
}
