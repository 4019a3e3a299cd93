import { Dialog as Base } from "@base-ui/react/dialog";
import { type FormEvent, type ReactNode, useState } from "react";

import { Button } from "./Button";
import styles from "./Dialog.module.css";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  text?: ReactNode;
  wide?: boolean;
  children?: ReactNode;
  /** What the one main button says and does; the dialog closes once it has worked. */
  action: string;
  dangerous?: boolean;
  disabled?: boolean;
  onAction: () => Promise<unknown> | void;
}

/** A question or a form. An error of the action is shown in it, and it stays open. */
export function Dialog({ open, onClose, title, text, wide, children, action, dangerous, disabled, onAction }: DialogProps) {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);

  const close = () => {
    setTrouble(null);
    onClose();
  };
  const act = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setTrouble(null);
    try {
      await onAction();
      onClose();
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Base.Root open={open} onOpenChange={(now) => !now && close()}>
      <Base.Portal>
        <Base.Backdrop className={styles["veil"]} />
        <Base.Popup className={`${styles["popup"]} ${wide ? styles["wide"] : ""}`}>
          <form onSubmit={(event) => void act(event)} style={{ display: "contents" }}>
            <div className={styles["head"]}>
              <Base.Title className={styles["title"]}>{title}</Base.Title>
              {text !== undefined && (
                <Base.Description className={styles["text"]} render={<div />}>
                  {text}
                </Base.Description>
              )}
            </div>
            <div className={styles["body"]}>
              {children}
              {trouble !== null && <p role="alert" style={{ color: "var(--bad)", marginTop: 8 }}>{trouble}</p>}
            </div>
            <div className={styles["foot"]}>
              <Button onClick={close}>Cancel</Button>
              <Button type="submit" kind={dangerous ? "dangerous" : "primary"} disabled={busy || disabled}>
                {action}
              </Button>
            </div>
          </form>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
