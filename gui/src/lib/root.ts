/** The path below which a proxy shows the server, "" where there is none: every address begins with it.
 *
 * The server writes it into the document.
 */

function told(): string {
  const content = document.querySelector<HTMLMetaElement>('meta[name="atlas-root"]')?.content ?? "";
  return content.startsWith("/") ? content.replace(/\/+$/, "") : "";
}

export const ROOT = told();
