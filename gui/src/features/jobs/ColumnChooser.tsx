import { Popover } from "@base-ui/react/popover";
import { Columns3 } from "lucide-react";
import { useMemo, useState } from "react";

import { Button } from "@/components/Button";
import { Checkbox, SearchInput } from "@/components/Field";

import styles from "./ColumnChooser.module.css";
import type { Column, Group } from "./columns";

const GROUPS: readonly (readonly [Group, string])[] = [
  ["job", "Job"],
  ["params", "Parameters"],
  ["metrics", "Metrics"],
  ["tags", "Tags"],
];

/** Which columns the table shows, among thousands where need be. */
export function ColumnChooser({
  columns,
  shown,
  onChange,
  onReset,
}: {
  columns: readonly Column[];
  shown: readonly string[];
  onChange: (ids: string[]) => void;
  onReset: () => void;
}) {
  const [find, setFind] = useState("");
  const chosen = useMemo(() => new Set(shown), [shown]);
  const fitting = columns.filter((column) => column.title.toLowerCase().includes(find.trim().toLowerCase()));
  const set = (ids: readonly string[], on: boolean) => {
    const others = shown.filter((id) => !ids.includes(id));
    onChange(on ? ordered(columns, [...shown, ...ids]) : others);
  };
  return (
    <Popover.Root>
      <Popover.Trigger
        render={
          <Button>
            <Columns3 aria-hidden />
            Columns
          </Button>
        }
      />
      <Popover.Portal>
        <Popover.Positioner sideOffset={5} align="end" className={styles["positioner"]}>
          <Popover.Popup className={styles["popup"]} aria-label="Columns">
            <div className={styles["top"]}>
              <SearchInput label="Find a column" value={find} onChange={(event) => setFind(event.target.value)} />
            </div>
            <div className={styles["list"]}>
              {GROUPS.map(([group, title]) => {
                const own = fitting.filter((column) => column.group === group);
                if (own.length === 0) return null;
                const all = own.every((column) => chosen.has(column.id));
                return (
                  <div key={group} role="group" aria-label={title}>
                    <div className={styles["group"]}>
                      {title}
                      <button type="button" onClick={() => set(own.map((column) => column.id), !all)}>
                        {all ? "None" : "All"}
                      </button>
                    </div>
                    {own.slice(0, 200).map((column) => (
                      <label key={column.id} className={styles["item"]} title={column.title}>
                        <Checkbox label={column.title} checked={chosen.has(column.id)} onChange={(event) => set([column.id], event.target.checked)} />
                        <span>{column.title}</span>
                      </label>
                    ))}
                  </div>
                );
              })}
            </div>
            <div className={styles["foot"]}>
              <Button small kind="quiet" onClick={onReset}>
                As it was
              </Button>
            </div>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

/** New columns go to the end of their group, not to the end of the table. */
function ordered(columns: readonly Column[], ids: readonly string[]): string[] {
  const groupOf = new Map(columns.map((column) => [column.id, GROUPS.findIndex(([group]) => group === column.group)]));
  return ids.map((id, index) => ({ id, index, group: groupOf.get(id) ?? 9 })).sort((a, b) => a.group - b.group || a.index - b.index).map(({ id }) => id);
}
