import { Search } from "lucide-react";
import { type ComponentProps, type ReactNode, useEffect, useId, useRef } from "react";

import styles from "./Field.module.css";

export function Field({ label, hint, children }: { label: string; hint?: ReactNode; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className={styles["field"]}>
      <label className={styles["label"]} htmlFor={id}>
        {label}
      </label>
      {children(id)}
      {hint !== undefined && <span className={styles["hint"]}>{hint}</span>}
    </div>
  );
}

export function Input(props: ComponentProps<"input">) {
  return <input autoComplete="off" spellCheck={false} {...props} className={`${styles["input"]} ${props.className ?? ""}`} />;
}

export function TextArea(props: ComponentProps<"textarea">) {
  return <textarea {...props} className={`${styles["area"]} ${props.className ?? ""}`} />;
}

export function SearchInput({ label, className, ...props }: ComponentProps<"input"> & { label: string }) {
  return (
    <div className={`${styles["search"]} ${className ?? ""}`}>
      <Search aria-hidden />
      <Input type="search" aria-label={label} placeholder={label} {...props} />
    </div>
  );
}

/** A choice of one among few or many, by the browser's own list: it works everywhere, on phones best. */
export function Select<T extends string>({
  label,
  value,
  options,
  onChange,
  shown = false,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  /** The label stands beside it. */
  shown?: boolean;
}) {
  return (
    <label className={styles["select"]}>
      <span className={shown ? undefined : "hidden"}>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value as T)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Switch({ label, checked, onChange }: { label: ReactNode; checked: boolean; onChange: (on: boolean) => void }) {
  return (
    <label className={styles["switch"]}>
      <input type="checkbox" role="switch" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {label}
    </label>
  );
}

export function Checkbox({
  label,
  indeterminate = false,
  ...props
}: ComponentProps<"input"> & { label: string; indeterminate?: boolean }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = indeterminate;
  }, [indeterminate]);
  return <input ref={box} type="checkbox" aria-label={label} {...props} className={styles["check"]} />;
}

/** Two to four choices, all in sight. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, ReactNode])[];
  onChange: (value: T) => void;
}) {
  return (
    <div className={styles["segments"]} role="group" aria-label={label}>
      {options.map(([key, text]) => (
        <button key={key} type="button" aria-pressed={key === value} onClick={() => onChange(key)}>
          {text}
        </button>
      ))}
    </div>
  );
}

export function Range({
  label,
  value,
  onChange,
  ...props
}: Omit<ComponentProps<"input">, "onChange" | "value"> & { label: string; value: number; onChange: (value: number) => void }) {
  return (
    <label className={styles["range"]}>
      {label}
      <input type="range" value={value} onChange={(event) => onChange(Number(event.target.value))} {...props} />
    </label>
  );
}
