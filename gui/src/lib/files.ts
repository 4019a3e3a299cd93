/** How a file wants to be shown, by its name and media type. */

export type FileKind = "image" | "audio" | "video" | "html" | "pdf" | "json" | "csv" | "markdown" | "text" | "other";

const TEXT_NAMES = /\.(py|pyi|txt|log|yaml|yml|toml|cfg|ini|sh|bash|c|h|cpp|cc|cu|js|ts|tsx|jsx|css|sql|xml|rst|r|jl|ipynb|diff|patch|env|lock|jsonl|conf|properties)$|(^|\/)(Dockerfile|Makefile|LICENSE|README|\.[a-z]+ignore|\.gitattributes|requirements[^/]*)$/i;

export function fileKind(name: string, type: string): FileKind {
  if (type.startsWith("image/")) return "image";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  if (/\.(csv|tsv)$/i.test(name)) return "csv";
  if (/\.md$/i.test(name)) return "markdown";
  if (/\.json$/i.test(name)) return "json";
  if (/\.html?$/i.test(name)) return "html";
  if (/\.pdf$/i.test(name)) return "pdf";
  if (type.startsWith("text/") || TEXT_NAMES.test(name)) return "text";
  return "other";
}
