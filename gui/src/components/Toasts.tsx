import { Toast } from "@base-ui/react/toast";
import { CircleAlert, CircleCheck, X } from "lucide-react";

import styles from "./Toasts.module.css";

const manager = Toast.createToastManager();

/** Tell the reader that something worked. */
export function tell(title: string, description?: string): void {
  manager.add({ title, description, timeout: 4000 });
}

/** Tell the reader that something did not work, and what to do. */
export function complain(title: string, error: unknown): void {
  const description = error instanceof Error ? error.message : String(error);
  manager.add({ title, description, type: "error", timeout: 9000, priority: "high" });
}

export function Toasts() {
  return (
    <Toast.Provider toastManager={manager} limit={4}>
      <Toast.Portal>
        <Toast.Viewport className={styles["viewport"]}>
          <Shown />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Shown() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={styles["toast"]} data-type={toast.type}>
      {toast.type === "error" ? <CircleAlert aria-hidden /> : <CircleCheck aria-hidden />}
      <Toast.Content className={styles["content"]}>
        <Toast.Title className={styles["title"]} />
        <Toast.Description className={styles["text"]} />
      </Toast.Content>
      <Toast.Close className={styles["close"]} aria-label="Close">
        <X aria-hidden />
      </Toast.Close>
    </Toast.Root>
  ));
}
