import { lazy, Suspense } from "react";

import styles from "./Markdown.module.css";

const Rendered = lazy(() => import("./MarkdownRenderer"));

/** Text in markdown. HTML in it is shown as text, and pictures come from this server or not at all. */
export function Markdown({ text }: { text: string }) {
  return (
    <div className={styles["text"]}>
      <Suspense fallback={<p style={{ whiteSpace: "pre-wrap" }}>{text}</p>}>
        <Rendered text={text} />
      </Suspense>
    </div>
  );
}
