import { HighlightStyle, LanguageDescription, LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";

import styles from "./CodeView.module.css";

const LANGUAGES = [
  LanguageDescription.of({ name: "Python", extensions: ["py", "pyi"], load: () => import("@codemirror/lang-python").then((module) => module.python()) }),
  LanguageDescription.of({ name: "JSON", extensions: ["json", "ipynb"], load: () => import("@codemirror/lang-json").then((module) => module.json()) }),
  LanguageDescription.of({ name: "YAML", extensions: ["yaml", "yml"], load: () => import("@codemirror/lang-yaml").then((module) => module.yaml()) }),
  LanguageDescription.of({ name: "Markdown", extensions: ["md"], load: () => import("@codemirror/lang-markdown").then((module) => module.markdown()) }),
  LanguageDescription.of({ name: "Shell", extensions: ["sh", "bash"], load: () => import("@codemirror/legacy-modes/mode/shell").then((module) => legacy(module.shell)) }),
  LanguageDescription.of({ name: "TOML", extensions: ["toml", "cfg", "ini"], load: () => import("@codemirror/legacy-modes/mode/toml").then((module) => legacy(module.toml)) }),
  LanguageDescription.of({ name: "C", extensions: ["c", "h", "cpp", "cu", "cc", "hpp"], load: () => import("@codemirror/legacy-modes/mode/clike").then((module) => legacy(module.cpp)) }),
  LanguageDescription.of({ name: "JavaScript", extensions: ["js", "ts", "mjs", "tsx", "jsx"], load: () => import("@codemirror/legacy-modes/mode/javascript").then((module) => legacy(module.typescript)) }),
  LanguageDescription.of({ name: "XML", extensions: ["xml", "html", "svg"], load: () => import("@codemirror/legacy-modes/mode/xml").then((module) => legacy(module.html)) }),
  LanguageDescription.of({ name: "Dockerfile", filename: /Dockerfile/, load: () => import("@codemirror/legacy-modes/mode/dockerfile").then((module) => legacy(module.dockerFile)) }),
];

function legacy(mode: Parameters<typeof StreamLanguage.define>[0]): LanguageSupport {
  return new LanguageSupport(StreamLanguage.define(mode));
}

const COLORS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.comment, tags.docComment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName), tags.className, tags.propertyName, tags.tagName], color: "var(--code-name)" },
  { tag: tags.heading, fontWeight: "600" },
]);

const THEME = EditorView.theme({
  "&": { height: "100%", width: "100%", color: "var(--ink)", backgroundColor: "transparent", fontSize: "12.5px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", fontFeatureSettings: '"liga" 0, "calt" 0' },
  ".cm-gutters": { backgroundColor: "transparent", border: "0", color: "var(--ink-3)" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 12px 0 14px" },
  ".cm-selectionMatch": { backgroundColor: "var(--accent-soft)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-textfield": { backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", borderRadius: "5px" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", borderRadius: "5px" },
  ".cm-changedLine": { backgroundColor: "color-mix(in srgb, var(--good-soft) 60%, transparent) !important" },
  ".cm-deletedChunk, &.cm-merge-a .cm-changedLine": { backgroundColor: "color-mix(in srgb, var(--bad-soft) 70%, transparent) !important" },
  ".cm-changedText, &.cm-merge-b .cm-changedText": { background: "color-mix(in srgb, var(--good) 14%, transparent) !important" },
  ".cm-deletedText, &.cm-merge-a .cm-changedText": { background: "color-mix(in srgb, var(--bad) 14%, transparent) !important" },
  ".cm-collapsedLines": { background: "var(--sunken)", color: "var(--ink-2)", padding: "4px 14px" },
  // The sign that CodeMirror puts there is in few fonts.
  ".cm-collapsedLines:before": { content: '"⋯"', marginInlineEnd: "8px" },
  ".cm-collapsedLines:after": { content: '""' },
});

const READING: Extension = [
  EditorState.readOnly.of(true),
  lineNumbers(),
  highlightSpecialChars(),
  highlightSelectionMatches(),
  search({ top: true }),
  keymap.of(searchKeymap),
  syntaxHighlighting(COLORS),
  THEME,
];

/** CodeMirror in a shadow root, where its styles need no exception from the page's policy. */
export default function CodeMirrorView({ name, text, original, sideBySide = false }: { name: string; text: string; original?: string; sideBySide?: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const box = document.createElement("div");
    box.style.cssText = "display:flex;flex:1;min-width:0;height:100%;overflow:auto";
    root.replaceChildren(box);
    let view: { destroy: () => void } | null = null;
    let gone = false;
    void languageOf(name).then((language) => {
      if (gone) return;
      const extensions = [READING, language, EditorView.contentAttributes.of({ "aria-label": name, tabindex: "0" })];
      view = open({ root, box, text, original, sideBySide, extensions });
    });
    return () => {
      gone = true;
      view?.destroy();
    };
  }, [name, text, original, sideBySide]);
  return <div ref={host} className={styles["host"]} />;
}

interface Opening {
  root: ShadowRoot;
  box: HTMLElement;
  text: string;
  original: string | undefined;
  sideBySide: boolean;
  extensions: Extension[];
}

const COLLAPSE = { margin: 3, minSize: 6 };

function open({ root, box, text, original, sideBySide, extensions }: Opening): { destroy: () => void } {
  if (original === undefined) return new EditorView({ root, parent: box, doc: text, extensions });
  if (sideBySide) {
    const merged = new MergeView({ root, parent: box, a: { doc: original, extensions }, b: { doc: text, extensions }, collapseUnchanged: COLLAPSE, gutter: true });
    merged.dom.style.cssText = "width:100%;height:100%;overflow:auto";
    return merged;
  }
  const unified = unifiedMergeView({ original, mergeControls: false, gutter: true, collapseUnchanged: COLLAPSE });
  return new EditorView({ root, parent: box, doc: text, extensions: [...extensions, unified] });
}

async function languageOf(name: string): Promise<Extension> {
  const found = LanguageDescription.matchFilename(LANGUAGES, name.slice(name.lastIndexOf("/") + 1));
  return found === null ? [] : found.load();
}
