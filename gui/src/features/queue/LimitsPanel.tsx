import { Pencil } from "lucide-react";
import { type ReactNode, useState } from "react";

import { useMe } from "@/api/accounts";
import { useLimits } from "@/api/limits";
import type { Limited } from "@/api/types";
import { Button, IconButton } from "@/components/Button";
import { Meter } from "@/components/Meter";
import { Panel } from "@/components/Panel";
import { type Head, Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { formatMemory, formatNumber } from "@/lib/format";

import { LimitsDialog } from "./LimitsDialog";
import styles from "./QueuePage.module.css";

const EVERYBODY = "*";

/** What each user and project has, of what they may have; admins change that here. */
export function LimitsPanel() {
  const { data } = useLimits();
  const { data: me } = useMe();
  const [asked, setAsked] = useState<Limited | "new" | null>(null);
  if (data === undefined) return null;
  const admin = me !== undefined && (!me.authentication || me.user?.role === "admin");
  const columns = COLUMNS.filter((column) => data.some(column.matters));
  const heads: (string | Head)[] = ["Who", ...columns.map((column) => column.title)];
  return (
    <Panel
      title="Limits and shares"
      flush
      tools={
        admin && (
          <Button small onClick={() => setAsked("new")}>
            Set limits…
          </Button>
        )
      }
    >
      {data.length === 0 ? (
        <p className={styles["text"]}>Nobody has anything now, and nobody is limited: whoever is alone may use everything.</p>
      ) : (
        <Table label="Limits and shares" heads={admin ? [...heads, { title: "Actions", silent: true }] : heads}>
          {data.map((one) => (
            <tr key={`${one.kind} ${one.name}`} data-testid="limited">
              <td className={cells["words"]}>
                {whoIs(one)} {one.name !== EVERYBODY && <span className={styles["kind"]}>{one.kind}</span>}
              </td>
              {columns.map((column) => (
                <td key={column.title} className={styles["held"]}>
                  {column.cell(one)}
                </td>
              ))}
              {admin && (
                <td className={cells["end"]}>
                  <IconButton label={`Limits of ${whoIs(one)}`} small onClick={() => setAsked(one)}>
                    <Pencil aria-hidden />
                  </IconButton>
                </td>
              )}
            </tr>
          ))}
        </Table>
      )}
      {asked !== null && <LimitsDialog of={asked === "new" ? null : asked} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

export function whoIs({ kind, name }: Pick<Limited, "kind" | "name">): string {
  return name === EVERYBODY ? `every ${kind} without limits of its own` : name;
}

interface Shown {
  title: string;
  /** Whether there is anything to say of anybody. */
  matters: (one: Limited) => boolean;
  cell: (one: Limited) => ReactNode;
}

type Measured = "jobs" | "cpus" | "gpus" | "queued" | "stored";

function held(title: string, name: Measured, write: (value: number) => string = formatNumber): Shown {
  return {
    title,
    matters: (one) => one.limits[name] !== null || (one.used[name] ?? 0) > 0,
    cell: (one) => {
      const [used, most] = [one.used[name] ?? 0, one.limits[name]];
      if (one.name === EVERYBODY) return most === null ? "no limit" : `up to ${write(most)}`;
      return most === null ? write(used) : <Meter bare label={`${title} of ${one.name}`} used={used} total={most} text={`${write(used)} of ${write(most)}`} />;
    },
  };
}

const COLUMNS: readonly Shown[] = [
  held("Running jobs", "jobs"),
  held("CPUs", "cpus"),
  held("GPUs", "gpus"),
  held("Waiting jobs", "queued"),
  held("Stored", "stored", formatMemory),
  { title: "Priority", matters: (one) => one.limits.priority !== null, cell: (one) => (one.limits.priority === null ? "no limit" : `up to ${one.limits.priority}`) },
  { title: "Share", matters: (one) => one.limits.share !== null, cell: (one) => one.kind === "user" && formatNumber(one.limits.share ?? 1) },
];
