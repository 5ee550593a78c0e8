/** The error of an API call. `code` is the stable code of the API, or one of this page. */
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  /** The service's own sentence, in English. */
  readonly title: string | undefined;
  readonly detail: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: string, status: number, more: { title?: string; detail?: string; retryAfterS?: number } = {}) {
    super(code);
    this.code = code;
    this.status = status;
    this.title = more.title;
    this.detail = more.detail;
    this.retryAfterS = more.retryAfterS;
  }

  /** The request did not reach the service, or its response was lost. */
  static network(): Problem {
    return new Problem("network", 0);
  }

  /** Converts any thrown value. */
  static from(thrown: unknown): Problem {
    return thrown instanceof Problem ? thrown : new Problem("page_fault", 0, { detail: String(thrown) });
  }
}

/** Reads the error of a response: problem+json, or the response of a proxy. */
export async function problemOf(answer: Response): Promise<Problem> {
  const wait = Number(answer.headers.get("retry-after"));
  const more: { title?: string; detail?: string; retryAfterS?: number } = {};
  if (Number.isFinite(wait) && wait > 0) more.retryAfterS = wait;
  const type = answer.headers.get("content-type") ?? "";
  if (/^application\/(problem\+)?json\b/.test(type)) {
    const body: unknown = await answer.json().catch(() => null);
    if (typeof body === "object" && body !== null && "code" in body && typeof body.code === "string") {
      if ("title" in body && typeof body.title === "string") more.title = body.title;
      if ("detail" in body && typeof body.detail === "string") more.detail = body.detail;
      return new Problem(body.code, answer.status, more);
    }
  }
  return new Problem(`http_${answer.status}`, answer.status, more);
}
