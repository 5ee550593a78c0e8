// A JSON value as lines of name and value, so that nothing of it is out of sight.
export interface Line {
  name: string;
  value: string;
}

/** Texts are shown as the API gives them, which escapes what cannot be seen. An empty text is shown as quotes. */
export function linesOf(value: unknown, name = ""): Line[] {
  if (Array.isArray(value) && value.length > 0) return value.flatMap((item, at) => linesOf(item, `${name}[${at + 1}]`));
  if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([key, item]) => linesOf(item, name ? `${name}.${key}` : key));
  }
  return [{ name, value: typeof value === "string" && value !== "" ? value : JSON.stringify(value) ?? "" }];
}
