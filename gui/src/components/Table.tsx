import type { ReactNode } from "react";

import styles from "./Table.module.css";

export interface Head {
  title: string;
  number?: boolean;
  /** Read out, not shown: the column explains itself. */
  silent?: boolean;
}

interface Props {
  /** What it is a table of, for those who do not see it. */
  label: string;
  heads?: readonly (string | Head)[];
  /** It scrolls in itself once it is long. */
  tall?: boolean;
  /** On a phone each row is a block. */
  stacked?: boolean;
  /** Its rows: `tr` with `td`; classes of Table.module.css are theirs. */
  children: ReactNode;
}

/** A table as it stands in a panel. Wide ones scroll sideways, also from the keyboard. */
export function Table({ label, heads = [], tall = false, stacked = false, children }: Props) {
  const classes = [styles["table"], tall && styles["tall"], stacked && styles["stacked"]].filter(Boolean).join(" ");
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys
    <div className={classes} tabIndex={0} role="region" aria-label={label}>
      <table>
        {heads.length > 0 && (
          <thead>
            <tr>
              {heads.map((head, index) => {
                const { title, number, silent } = typeof head === "string" ? { title: head } : head;
                return (
                  <th key={index} scope="col" className={number ? styles["number"] : undefined}>
                    {silent ? <span className="hidden">{title}</span> : title}
                  </th>
                );
              })}
            </tr>
          </thead>
        )}
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
