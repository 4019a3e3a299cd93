/** What a reader arranged, kept in the browser: never anything that a page cannot do without. */

export function recall<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`atlas.${key}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function keep(key: string, value: unknown): void {
  try {
    localStorage.setItem(`atlas.${key}`, JSON.stringify(value));
  } catch {
    // Full or forbidden: the arrangement then lasts as long as the page.
  }
}
