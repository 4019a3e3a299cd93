import { describe, expect, it } from "vitest";

import { parseAnsi, stripAnsi } from "./ansi";
import { brushOf, isBrushed, place, scaleFor, stretchOf, ticks, valueAt } from "./axes";
import { parseCsv } from "./csv";
import { axisOf, inOrder } from "./curves";
import { fileKind } from "./files";
import { formatAgo, formatBytes, formatDuration, formatMemory, formatNumber, formatSpan, formatValue, quoted } from "./format";
import { anyTag, columnName, isDuration, isSize, rangeClause, splitSort, statesOf, withClause, withStates } from "./query";
import { smooth } from "./smoothing";
import { timeTexts } from "./timeAxis";
import { treeOf } from "./tree";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [0.1 + 0.2, "0.3"],
    [256, "256"],
    [123456.789, "123460"],
    [8.8889e24, "8.889e24"],
    [1e9, "1e9"],
    [-0.00001234, "-1.234e-5"],
  ])("%d is %s", (value, text) => expect(formatNumber(value)).toBe(text));

  it("shows other values as they are", () => {
    expect(formatValue(null)).toBe("");
    expect(formatValue([1, "a"])).toBe('[1,"a"]');
    expect(formatValue("NaN")).toBe("NaN");
  });
});

describe("times and sizes", () => {
  it.each([
    [0.0123, "12 ms"],
    [3.21, "3.2 s"],
    [59.6, "1 min 00 s"],
    [3600 * 26, "1 d 2 h"],
  ])("%d seconds are %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it("says how long ago", () => {
    expect(formatAgo(1000, 1010)).toBe("just now");
    expect(formatAgo(1000, 1000 + 7200)).toBe("2 h ago");
  });

  it.each([
    [0, "0"],
    [60, "1 min"],
    [90, "1 min 30 s"],
    [7200, "2 h"],
    [3 * 86400, "3 d"],
    [5, "5.0 s"],
  ])("%d seconds on an axis are %s", (seconds, text) => expect(formatSpan(seconds)).toBe(text));

  it("says the day once along an axis", () => {
    const noon = new Date(2026, 10, 25, 23, 59).getTime() / 1000;
    const [first, second, third] = timeTexts([noon, noon + 30, noon + 60], 30);
    expect(first).toContain("\n");
    expect(second).not.toContain("\n");
    expect(third).toContain("\n");
  });

  it("counts bytes in thousands, memory as --ram does", () => {
    expect(formatBytes(999)).toBe("999 B");
    expect(formatBytes(1_234_000)).toBe("1.23 MB");
    expect(formatMemory(8 * 1024 ** 3)).toBe("8 GB");
  });

  it("quotes for a shell", () => expect(quoted("it's")).toBe(`'it'"'"'s'`));
});

describe("queries", () => {
  it("keeps the meaning of what was there", () => {
    expect(withClause("a = 1 or b = 2", "c = 3")).toBe("(a = 1 or b = 2) and c = 3");
    expect(withClause("a = 1 sort:-metrics.loss", "c = 3")).toBe("a = 1 and c = 3 sort:-metrics.loss");
    expect(withClause("", "c = 3")).toBe("c = 3");
  });

  it("knows what the language takes with a unit", () => {
    expect(["90", "1.5h", "10m"].every(isDuration)).toBe(true);
    expect(["8GB", "512MiB", "1024"].every(isSize)).toBe(true);
    expect(isDuration("soon") || isSize("big")).toBe(false);
  });

  it("asks for any of several tags", () => {
    expect(anyTag(["a"])).toBe("tag:a");
    expect(anyTag(["a", "b c"])).toBe('(tag:a or tag:"b c")');
  });

  it("finds the order at the end only", () => {
    expect(splitSort('a:"sort:x" b = 1')).toEqual({ condition: 'a:"sort:x" b = 1', sort: "" });
    expect(splitSort("sort:-name")).toEqual({ condition: "", sort: "sort:-name" });
  });

  it("turns states on and off", () => {
    const query = withStates("metrics.loss < 1", ["failed", "stopped"]);
    expect(query).toBe("metrics.loss < 1 and state in (failed, stopped)");
    expect(statesOf(query)).toEqual(["failed", "stopped"]);
    expect(withStates(query, [])).toBe("metrics.loss < 1");
    expect(withStates("state in (failed) and a = 1", [])).toBe("a = 1");
  });

  it("quotes names with other signs", () => {
    expect(columnName("metrics", "val loss")).toBe('metrics."val loss"');
    expect(columnName("metrics", "train/loss")).toBe("metrics.train/loss");
    expect(columnName("tags", 'a"b')).toBe('tags."a\\"b"');
    expect(rangeClause("params.lr", 0.1, null)).toBe("params.lr >= 0.1");
  });
});

describe("terminal colours", () => {
  it("takes colours and leaves moves out", () => {
    expect(parseAnsi("\u001b[1;32mok\u001b[0m plain\u001b[2K")).toEqual([
      { text: "ok", looks: ["bold", "green"] },
      { text: " plain", looks: [] },
    ]);
    expect(parseAnsi("\u001b[38;5;196mred\u001b[38;2;1;2;3mrgb")).toMatchObject([{ color: "rgb(255 0 0)" }, { color: "rgb(1 2 3)" }]);
  });

  it("shows what a progress bar ends with", () => {
    expect(stripAnsi("10 %\r50 %\r100 %\r")).toBe("100 %");
  });

  it("leaves markup as text", () => {
    expect(stripAnsi("<script>alert(1)</script>\u0007")).toBe("<script>alert(1)</script>");
  });
});

describe("scales", () => {
  it("is logarithmic over decades", () => {
    const scale = scaleFor([0.0001, 0.1, 0.01]);
    expect(scale).toMatchObject({ kind: "number", log: true });
    expect(place(scale, 0.0001)).toBe(0);
    expect(place(scale, "NaN")).toBeNull();
    if (scale.kind === "number") expect(valueAt(scale, 1)).toBeCloseTo(0.1);
  });

  it("takes words, and numbers among them", () => {
    const scale = scaleFor(["b", "a", 3, null]);
    expect(scale).toEqual({ kind: "word", words: [3, "a", "b"] });
    expect(brushOf(scale, 0.4, 1)).toEqual({ words: ["a", "b"] });
  });

  it("has a place for a single value", () => expect(place(scaleFor([5, 5]), 5)).toBeCloseTo(0.5));

  it("brushes and finds the stretch again", () => {
    const scale = scaleFor([0, 10]);
    const brush = brushOf(scale, 0.2, 0.6);
    expect(brush).toEqual({ low: 2, high: 6 });
    expect(isBrushed(brush, 3)).toBe(true);
    expect(isBrushed(brush, null)).toBe(false);
    expect(stretchOf(scale, brush)).toEqual([0.2, 0.6]);
  });

  it("has round ticks", () => expect(ticks(scaleFor([0, 1]), 5).map((tick) => tick.text)).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1"]));
});

describe("curves", () => {
  const curve = { seq: [1, 2, 3], step: [0, 10, null], time: [100, 101, 103], value: [1, 2, 3] };

  it("counts where steps are missing", () => {
    expect(axisOf(curve, "step")).toEqual([1, 2, 3]);
    expect(axisOf(curve, "relative")).toEqual([0, 1, 3]);
  });

  it("puts points in order", () => expect(inOrder([2, 1, 2], [5, 6, 7])).toEqual({ x: [1, 2], y: [6, 7] }));

  it("smooths without a pull to zero, over gaps", () => {
    const smoothed = smooth([4, null, 4, Number.NaN, 4], 0.9);
    expect(smoothed[0]).toBeCloseTo(4);
    expect(smoothed[1]).toBeNull();
    expect(smoothed[4]).toBeCloseTo(4);
  });
});

describe("files", () => {
  it("reads quotes and breaks of CSV", () => {
    expect(parseCsv('a,b\r\n"x, ""y""\n",2\n', ",", 10)).toEqual([["a", "b"], ['x, "y"\n', "2"]]);
    expect(parseCsv("1\n2\n3\n", ",", 2)).toHaveLength(2);
  });

  it("knows what to show", () => {
    expect(fileKind("a.png", "image/png")).toBe("image");
    expect(fileKind("Dockerfile", "application/octet-stream")).toBe("text");
    expect(fileKind("model.pt", "application/octet-stream")).toBe("other");
  });

  it("makes a tree, folders first", () => {
    const tree = treeOf(["b.py", "a/z.py", "a/b/c.py"], (path) => path);
    expect(tree.map((node) => node.name)).toEqual(["a", "b.py"]);
    expect(tree[0]?.children.map((node) => node.path)).toEqual(["a/b", "a/z.py"]);
  });
});
