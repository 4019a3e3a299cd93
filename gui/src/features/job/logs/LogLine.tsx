import { AnsiLine } from "@/components/AnsiLine";

import styles from "./LogView.module.css";

interface Props {
  /** From 0. */
  number: number;
  line: string | undefined;
  marked: string;
  hit: boolean;
  current: boolean;
  onLine: (line: number) => void;
}

export function LogLine({ number, line, marked, hit, current, onLine }: Props) {
  return (
    <div className={`${styles["line"]} ${hit ? styles["hit"] : ""} ${current ? styles["current"] : ""}`} data-line={number}>
      <button type="button" tabIndex={-1} className={styles["number"]} aria-label={`Line ${number + 1}`} onClick={() => onLine(number)}>
        {number + 1}
      </button>
      <span className={styles["text"]}>{line === undefined ? <span className={styles["pending"]}>…</span> : <AnsiLine line={line} marked={marked} />}</span>
    </div>
  );
}
