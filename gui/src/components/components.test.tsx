import { fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { drawn } from "@/testing";

import { AnsiLine } from "./AnsiLine";
import { Dialog } from "./Dialog";
import { EditableMarkdown } from "./EditableMarkdown";
import { FileViewer } from "./FileViewer";
import { Markdown } from "./Markdown";
import { Status } from "./Status";

const HOSTILE = `<img src=x onerror="window.hurt = 1"><script>window.hurt = 1</script>`;

describe("text of jobs", () => {
  it("is never markup in a log", () => {
    const { container } = drawn(<AnsiLine line={`\u001b[31m${HOSTILE}`} marked="script" />);
    expect(container.querySelector("script, img")).toBeNull();
    expect(container.textContent).toBe(HOSTILE);
    expect(container.querySelectorAll("mark")).toHaveLength(2);
  });

  it("is never markup in markdown, nor a link to a script", async () => {
    const { container } = drawn(<Markdown text={`# Title\n\n${HOSTILE}\n\n[x](javascript:alert(1))`} />);
    await screen.findByRole("heading", { name: "Title" }, { timeout: 10_000 });
    expect(container.querySelector("script, img")).toBeNull();
    expect(container.querySelector('a[href^="javascript"]')).toBeNull();
  });

  it("is never markup in a table", async () => {
    const source = { name: "a.csv", type: "text/csv", size: 100, href: "/api/v1/jobs/x/artifacts/content?key=a", version: "1" };
    const { container } = drawn(<FileViewer source={source} />, { "/jobs/x/artifacts": `name\n${HOSTILE.replaceAll('"', "")}\n` });
    await screen.findByText(/<script>/);
    expect(container.querySelector("script, img")).toBeNull();
  });
});

describe("a state", () => {
  it("is a word beside its colour", () => {
    drawn(<Status state="failed" />);
    expect(screen.getByText("failed")).toBeTruthy();
  });

  it("is read out where only its icon is shown", () => {
    drawn(<Status state="running" bare />);
    expect(screen.getByText("running").className).toContain("hidden");
  });
});

describe("a dialog", () => {
  it("stays open with the reason when its action fails", async () => {
    const closed = vi.fn();
    drawn(<Dialog open onClose={closed} title="Delete it?" action="Delete" dangerous onAction={() => Promise.reject(new Error("It still runs."))} />);
    await userEvent.click(await screen.findByRole("button", { name: "Delete" }));
    expect((await screen.findByRole("alert")).textContent).toBe("It still runs.");
    expect(closed).not.toHaveBeenCalled();
  });

  it("closes when its action worked", async () => {
    const closed = vi.fn();
    drawn(<Dialog open onClose={closed} title="Stop it?" action="Stop" onAction={() => Promise.resolve()} />);
    await userEvent.click(await screen.findByRole("button", { name: "Stop" }));
    await waitFor(() => expect(closed).toHaveBeenCalled());
  });
});

describe("text that is edited in place", () => {
  it("is saved", async () => {
    const save = vi.fn(() => Promise.resolve());
    drawn(<EditableMarkdown title="Notes" text="old" empty="none" onSave={save} />);
    await userEvent.click(screen.getByRole("button", { name: "Edit notes" }));
    fireEvent.change(screen.getByRole("textbox", { name: "Notes" }), { target: { value: "new" } });
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(save).toHaveBeenCalledWith("new");
    await waitFor(() => expect(screen.queryByRole("textbox")).toBeNull());
  });

  it("is given up with Escape", async () => {
    const save = vi.fn();
    drawn(<EditableMarkdown title="Notes" text="old" empty="none" onSave={save} />);
    await userEvent.click(screen.getByRole("button", { name: "Edit notes" }));
    await userEvent.keyboard("{Escape}");
    expect(save).not.toHaveBeenCalled();
  });
});
