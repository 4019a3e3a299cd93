import type { ComponentProps, ReactNode } from "react";

import styles from "./Button.module.css";
import { Tip } from "./Tip";

type Kind = "plain" | "primary" | "quiet" | "danger" | "dangerous";

interface Look {
  kind?: Kind;
  small?: boolean;
}

export function buttonClass({ kind = "plain", small = false }: Look, icon = false): string {
  return [styles["button"], kind !== "plain" && styles[kind], small && styles["small"], icon && styles["icon"]]
    .filter(Boolean)
    .join(" ");
}

export function Button({ kind, small, className, ...rest }: ComponentProps<"button"> & Look) {
  return <button type="button" {...rest} className={`${buttonClass({ kind, small })} ${className ?? ""}`} />;
}

/** A button of one icon; its label is read out and shown on hovering. */
export function IconButton({
  label,
  kind = "quiet",
  small,
  className,
  children,
  ...rest
}: ComponentProps<"button"> & Look & { label: string; children: ReactNode }) {
  return (
    <Tip text={label}>
      <button
        type="button"
        aria-label={label}
        {...rest}
        className={`${buttonClass({ kind, small }, true)} ${className ?? ""}`}
      >
        {children}
      </button>
    </Tip>
  );
}
