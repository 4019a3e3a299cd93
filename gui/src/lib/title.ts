import { useEffect } from "react";

/** Name the page, as tabs, histories and screen readers show it. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title ? `${title} · Atlas` : "Atlas";
  }, [title]);
}
