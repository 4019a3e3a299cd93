import { Menu as Base } from "@base-ui/react/menu";
import { Check } from "lucide-react";
import type { ReactElement, ReactNode } from "react";

import styles from "./Menu.module.css";

/** A button's menu. `trigger` is the button; the children are the items below. */
export function Menu({
  trigger,
  align = "end",
  children,
}: {
  trigger: ReactElement<Record<string, unknown>>;
  align?: "start" | "end";
  children: ReactNode;
}) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={5} align={align} className={styles["positioner"]}>
          <Base.Popup className={styles["popup"]}>{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

export function MenuItem({
  icon,
  danger = false,
  disabled = false,
  onSelect,
  children,
}: {
  icon?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
  children: ReactNode;
}) {
  return (
    <Base.Item
      className={`${styles["item"]} ${danger ? styles["danger"] : ""}`}
      disabled={disabled}
      onClick={onSelect}
    >
      {icon}
      {children}
    </Base.Item>
  );
}

export function MenuLink({ icon, href, children }: { icon?: ReactNode; href: string; children: ReactNode }) {
  return (
    <Base.Item
      className={styles["item"]}
      render={
        <a href={href} download>
          {icon}
          {children}
        </a>
      }
    />
  );
}

export function MenuChoice<T extends string>({
  value,
  options,
  onChange,
}: {
  value: T;
  options: readonly { value: T; label: ReactNode; icon?: ReactNode }[];
  onChange: (value: T) => void;
}) {
  return (
    <Base.RadioGroup value={value} onValueChange={(chosen: T) => onChange(chosen)}>
      {options.map((option) => (
        <Base.RadioItem key={option.value} value={option.value} className={styles["item"]} closeOnClick>
          {option.icon}
          <span>{option.label}</span>
          <span className={styles["mark"]}>{option.value === value && <Check aria-hidden />}</span>
        </Base.RadioItem>
      ))}
    </Base.RadioGroup>
  );
}

/** Any number of many; the menu stays open. */
export function MenuChecks({ chosen, options, onChange }: { chosen: readonly string[]; options: readonly string[]; onChange: (chosen: string[]) => void }) {
  return options.map((option) => (
    <Base.CheckboxItem
      key={option}
      className={styles["item"]}
      checked={chosen.includes(option)}
      closeOnClick={false}
      onCheckedChange={(on) => onChange(options.filter((other) => (other === option ? on : chosen.includes(other))))}
    >
      <span>{option}</span>
      <span className={styles["mark"]}>{chosen.includes(option) && <Check aria-hidden />}</span>
    </Base.CheckboxItem>
  ));
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <div className={styles["label"]}>{children}</div>;
}

export function MenuLine() {
  return <Base.Separator className={styles["line"]} />;
}
