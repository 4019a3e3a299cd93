import { lazy, Suspense } from "react";

import { Skeleton } from "./Panel";

const Editor = lazy(() => import("./CodeMirrorView"));

/** Code to read, with its colours; with `original` the differences from it. */
export function CodeView(props: { name: string; text: string; original?: string; sideBySide?: boolean }) {
  return (
    <Suspense fallback={<Skeleton height={240} />}>
      <Editor {...props} />
    </Suspense>
  );
}
