import { CircleAlert, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

import { Button } from "./Button";
import { CopyButton } from "./CopyButton";
import styles from "./Panel.module.css";

export function Panel({
  title,
  count,
  tools,
  flush = false,
  children,
}: {
  title?: ReactNode;
  count?: ReactNode;
  tools?: ReactNode;
  /** The content reaches the edges. */
  flush?: boolean;
  children: ReactNode;
}) {
  return (
    <section className={styles["panel"]}>
      {title !== undefined && (
        <header className={styles["head"]}>
          <h2>
            {title} {count !== undefined && <span className={`${styles["count"]} num`}>{count}</span>}
          </h2>
          {tools}
        </header>
      )}
      <div className={flush ? undefined : styles["body"]}>{children}</div>
    </section>
  );
}

/** What stands where there is nothing yet: what it is for, and the command that fills it. */
export function Empty({
  icon: Icon,
  title,
  command,
  children,
}: {
  icon: LucideIcon;
  title: string;
  command?: string | string[];
  children?: ReactNode;
}) {
  return (
    <div className={styles["empty"]}>
      <Icon aria-hidden />
      <h2>{title}</h2>
      {children}
      {[command ?? []].flat().map((line) => (
        <Command key={line} text={line} />
      ))}
    </div>
  );
}

export function Command({ text }: { text: string }) {
  return (
    <span className={styles["command"]}>
      <code>{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </span>
  );
}

export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className={styles["empty"]} role="alert">
      <CircleAlert aria-hidden style={{ color: "var(--bad)" }} />
      <h2>This could not be loaded</h2>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {retry !== undefined && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

export function Facts({ rows }: { rows: readonly (readonly [string, ReactNode] | false | null | undefined)[] }) {
  return (
    <dl className={styles["facts"]}>
      {rows.map((row) =>
        row ? (
          <div key={row[0]} style={{ display: "contents" }}>
            <dt>{row[0]}</dt>
            <dd>{row[1]}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

export function Skeleton({ height, width }: { height: number; width?: number | string }) {
  return <div className={styles["skeleton"]} style={{ height, width }} aria-hidden />;
}
