import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import type { Columns, JobRow } from "@/api/types";
import { drawn } from "@/testing";

import { clauseOf, readBrushes, writeBrushes } from "./brushes";
import { ColumnChooser } from "./ColumnChooser";
import { columnsOf } from "./columns";
import { QueryBox } from "./QueryBox";
import { parseJobsSearch } from "./search";

const KNOWN: Columns = {
  jobs: 2,
  fields: [],
  params: [
    { name: "lr", jobs: 2, numbers: 2, texts: 0, others: 0 },
    { name: "model name", jobs: 1, numbers: 0, texts: 1, others: 0 },
  ],
  metrics: [{ name: "loss", jobs: 2, numbers: 2, goal: "min" }],
  tags: [{ name: "baseline", jobs: 1 }],
};

describe("columns", () => {
  it("are named as the query language does", () => {
    const columns = columnsOf(KNOWN);
    expect(columns.map((column) => column.id)).toEqual(expect.arrayContaining(["submitted", "params.lr", 'params."model name"', "metrics.loss", "tags.baseline"]));
    expect(columns.find((column) => column.id === "params.lr")?.numeric).toBe(true);
  });

  it("show what a job lacks as nothing", () => {
    const job = { params: {}, metrics: {}, tags: {} } as unknown as JobRow;
    const column = columnsOf(KNOWN).find((one) => one.id === "tags.baseline");
    expect(column?.cell(job)).toBeNull();
  });

  it("are chosen by name", async () => {
    const change = vi.fn();
    drawn(<ColumnChooser columns={columnsOf(KNOWN)} shown={["submitted", "params.lr"]} onChange={change} onReset={vi.fn()} />);
    await userEvent.click(screen.getByRole("button", { name: "Columns" }));
    await userEvent.type(await screen.findByRole("searchbox", { name: "Find a column" }), "loss");
    await userEvent.click(screen.getByRole("checkbox", { name: "loss" }));
    expect(change).toHaveBeenCalledWith(["submitted", "params.lr", "metrics.loss"]);
  });
});

describe("the address", () => {
  it("holds what was set and drops what is odd", () => {
    expect(parseJobsSearch({ q: 5, sort: ["-a"], panel: "parallel", cols: "x", evil: 1 })).toMatchObject({ q: "5", sort: ["-a"], panel: "parallel" });
    expect(parseJobsSearch({ panel: "nonsense" }).panel).toBeUndefined();
  });

  it("carries brushes there and back", () => {
    const brushes = new Map([
      ["params.lr", { low: 0.1, high: 1 }],
      ["params.model", { words: ["a", true, 'q"'] }],
    ] as const);
    expect(readBrushes(writeBrushes(brushes))).toEqual(brushes);
    expect(clauseOf(new Map([["started", { low: 0, high: 60 }]]))).toBe("started >= 1970-01-01T00:00:00Z and started <= 1970-01-01T00:01:00Z");
    expect(clauseOf(brushes)).toBe('params.lr >= 0.1 and params.lr <= 1 and params.model in ("a", true, "q\\"")');
    expect(readBrushes("[[1]]").size).toBe(0);
    expect(readBrushes("{")).toEqual(new Map());
  });
});

describe("the query box", () => {
  it("gives a valid query on, and underlines a mistake", async () => {
    const change = vi.fn();
    const bad = { valid: false, error: { message: "There is no column 'metrcs'.", hint: null, position: 0, length: 6, suggestions: ["metrics"] }, columns: [], sort: [], without_sort: "" };
    drawn(<QueryBox project="p" value="" onChange={change} />, { "/query/check?query=metrcs": bad, "/query/check": { ...bad, valid: true, error: null }, "/query/complete": { start: 0, end: 0, words: [] } });
    const box = screen.getByRole("combobox");
    await userEvent.type(box, "metrcs");
    expect((await screen.findByRole("status")).textContent).toContain("There is no column 'metrcs'.");
    expect(change).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "metrics" }));
    await waitFor(() => expect(change).toHaveBeenCalledWith("metrics"));
  });

  it("takes a completion from the keyboard", async () => {
    drawn(<QueryBox project="p" value="" onChange={vi.fn()} />, {
      "/query/complete": { start: 0, end: 3, words: [{ text: "metrics.loss", kind: "column", note: "" }] },
      "/query/check": { valid: true, error: null, columns: [], sort: [], without_sort: "" },
    });
    const box = screen.getByRole<HTMLInputElement>("combobox");
    await userEvent.type(box, "met");
    await screen.findByRole("option");
    await userEvent.keyboard("{ArrowDown}{Enter}");
    expect(box.value).toBe("metrics.loss");
  });
});
