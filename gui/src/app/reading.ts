/** What has been read of the server, and what is read before a page asks for it. */

import { type FetchQueryOptions, QueryCache, QueryClient, type QueryKey } from "@tanstack/react-query";

import { isInside, meOptions } from "@/api/accounts";
import { ApiError } from "@/api/client";

export const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      // The session has ended: who is there is asked again, and the answer is the login.
      if (error instanceof ApiError && error.status === 401) void client.invalidateQueries({ queryKey: ["me"] });
    },
  }),
  defaultOptions: {
    queries: {
      // The feed says when something is old; what it does not cover says so itself.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status < 500),
    },
  },
});

/** Read while the code of a page is on its way; nothing where a login stands before. */
export function readAhead<T, K extends QueryKey>(wanted: FetchQueryOptions<T, Error, T, K>): void {
  void client.ensureQueryData(meOptions()).then(
    (me) => (isInside(me) ? client.prefetchQuery(wanted) : undefined),
    () => undefined /* the page asks again, and shows what is wrong */,
  );
}
