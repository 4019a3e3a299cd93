import { openTensorBoard } from "@/api/actions";
import { complain, tell } from "@/components/Toasts";

/** Open the TensorBoard of these jobs in a tab of its own. */
export async function showTensorBoard(jobs: readonly string[]): Promise<void> {
  // Opened now: a browser stops windows that come later than the click.
  const tab = window.open("", "_blank");
  try {
    tell("TensorBoard is starting");
    const path = await openTensorBoard(jobs);
    if (tab !== null) tab.location.href = path;
  } catch (error) {
    tab?.close();
    complain("TensorBoard was not started", error);
  }
}
