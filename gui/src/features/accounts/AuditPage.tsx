import { ScrollText } from "lucide-react";
import { useState } from "react";

import { useAudit, useUsers } from "@/api/accounts";
import type { AuditEntry } from "@/api/types";
import { Button } from "@/components/Button";
import { Select } from "@/components/Field";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { formatDate } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import styles from "./Accounts.module.css";

/** Who did what, when, from where. For admins. */
export function AuditPage() {
  useTitle("Audit log");
  const [user, setUser] = useState("");
  const users = useUsers().data ?? [];
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useAudit(user);
  const entries = data?.pages.flatMap((one) => one.entries);
  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Audit log</h1>
        <Select label="Only of" shown value={user} options={[["", "everybody"], ...users.map((one) => [one.name, one.name] as const)]} onChange={setUser} />
      </div>
      <Panel flush>
        {entries === undefined ? (
          error === null ? <Skeleton height={240} /> : <Trouble error={error} retry={() => void refetch()} />
        ) : entries.length === 0 ? (
          <Empty icon={ScrollText} title="Nothing has been changed yet" command="atlas-server audit" />
        ) : (
          <EntryTable entries={entries} />
        )}
        {hasNextPage && (
          <div className={styles["more"]}>
            <Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
              Older entries
            </Button>
          </div>
        )}
      </Panel>
    </main>
  );
}

function EntryTable({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <Table label="Entries" heads={["When", "Who", "By", "From", "What", "Of what", "Outcome"]}>
      {entries.map((entry) => (
        <tr key={entry.id}>
          <td className={`${cells["nowrap"]} num`}>{formatDate(entry.time)}</td>
          <td>{entry.user}</td>
          <td>{entry.through}</td>
          <td className="num">{entry.address}</td>
          <td className="mono">{entry.action}</td>
          <td className={`${cells["words"]} mono`}>{entry.target}</td>
          <td className={entry.outcome >= 400 ? styles["trouble"] : undefined}>{entry.outcome >= 400 ? `refused (${entry.outcome})` : "done"}</td>
        </tr>
      ))}
    </Table>
  );
}
