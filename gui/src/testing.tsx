/** What component tests stand on; only Vitest loads it. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, type RenderResult } from "@testing-library/react";
import type { ReactElement } from "react";
import { afterEach, vi } from "vitest";

afterEach(() => {
  cleanup();
  localStorage.clear();
});

class Watcher {
  observe(): void {
    // Nothing is laid out here.
  }
  unobserve(): void {
    // As above.
  }
  disconnect(): void {
    // As above.
  }
}
vi.stubGlobal("ResizeObserver", Watcher);

/** Draw a component that asks the server; `answers` gives JSON, or a text as it is, by the beginning of the path. */
export function drawn(element: ReactElement, answers: Record<string, unknown> = {}): RenderResult {
  vi.stubGlobal("fetch", (address: string) => {
    const path = address.replace("/api/v1", "");
    const key = Object.keys(answers).find((beginning) => path.startsWith(beginning));
    return Promise.resolve(
      key === undefined
        ? new Response(JSON.stringify({ error: { code: "not_found", message: `No ${path}.`, hint: null, details: {} } }), { status: 404 })
        : new Response(typeof answers[key] === "string" ? answers[key] : JSON.stringify(answers[key])),
    );
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return render(<QueryClientProvider client={client}>{element}</QueryClientProvider>);
}
