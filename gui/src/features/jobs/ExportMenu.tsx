import type { ReactElement } from "react";

import { exportAddress } from "@/api/actions";
import type { Selection } from "@/api/queries";
import { Menu, MenuLabel, MenuLink } from "@/components/Menu";

const FORMATS = [
  ["csv", "CSV"],
  ["json", "JSON"],
  ["jsonl", "JSON lines"],
  ["parquet", "Parquet"],
] as const;

/** The jobs of a selection as a file. */
export function ExportMenu({
  selection,
  columns,
  children,
}: {
  selection: Selection;
  columns: readonly string[] | undefined;
  children: ReactElement<Record<string, unknown>>;
}) {
  return (
    <Menu trigger={children}>
      <MenuLabel>The columns shown</MenuLabel>
      {FORMATS.map(([format, label]) => (
        <MenuLink key={format} href={exportAddress(selection, columns, format)}>
          {label}
        </MenuLink>
      ))}
      <MenuLabel>Everything</MenuLabel>
      {FORMATS.map(([format, label]) => (
        <MenuLink key={format} href={exportAddress(selection, undefined, format)}>
          {label}
        </MenuLink>
      ))}
    </Menu>
  );
}
