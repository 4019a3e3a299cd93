import { Check, Copy } from "lucide-react";
import { useState } from "react";

import { IconButton } from "./Button";
import { complain } from "./Toasts";

/** Copies `text`, and says so with a tick. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  const copy = () => {
    copyText(text).then(
      () => {
        setDone(true);
        window.setTimeout(() => setDone(false), 1500);
      },
      (error: unknown) => complain("It could not be copied", error),
    );
  };
  return (
    <IconButton label={done ? "Copied" : label} small onClick={copy}>
      {done ? <Check aria-hidden style={{ color: "var(--good)" }} /> : <Copy aria-hidden />}
    </IconButton>
  );
}

export async function copyText(text: string): Promise<void> {
  // Browsers offer the clipboard to secure pages only: localhost is one, a machine's name is not.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("The browser does not allow it; select the text and copy it by hand.");
}
