import "./styles/fonts.css";
import "./styles/base.css";

import { CSPProvider } from "@base-ui/react/csp-provider";
import { Tooltip } from "@base-ui/react/tooltip";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { client } from "./app/reading";
import { router } from "./app/router";

// A part of the pages could not be loaded: the server was away, or has others by now. Once more, then.
window.addEventListener("vite:preloadError", (event) => {
  const last = Number(sessionStorage.getItem("atlas.reloaded") ?? 0);
  if (Date.now() - last < 10_000) return;
  sessionStorage.setItem("atlas.reloaded", String(Date.now()));
  event.preventDefault();
  window.location.reload();
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <Tooltip.Provider delay={350}>
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </Tooltip.Provider>
    </CSPProvider>
  </StrictMode>,
);
