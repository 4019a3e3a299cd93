import { X } from "lucide-react";

import styles from "./Tag.module.css";

/** A tag; one without a value is its key alone. */
export function Tag({ name, value, onRemove }: { name: string; value: string; onRemove?: () => void }) {
  return (
    <span className={styles["tag"]} title={value ? `${name} = ${value}` : name}>
      <span>{name}</span>
      {value !== "" && <span className={styles["value"]}>{value}</span>}
      {onRemove !== undefined && (
        <button type="button" className={styles["remove"]} aria-label={`Remove tag ${name}`} onClick={onRemove}>
          <X aria-hidden />
        </button>
      )}
    </span>
  );
}
