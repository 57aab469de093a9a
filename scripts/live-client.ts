// What the tests of routes ask with: a client that gives status, text and JSON of any answer, and expects problems.

export interface LiveAnswer {
  readonly status: number;
  readonly text: string;
  /** Undefined without a body. */
  readonly json: unknown;
}

/** @param key an API key; none is sent if left out */
export async function send(url: string, method: string, body?: unknown, key?: string): Promise<LiveAnswer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  const json: unknown = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, json, text };
}

/** @throws Error unless the answer is a problem of this status and code */
export async function expectProblem(
  answer: Promise<LiveAnswer>,
  status: number,
  code: string,
): Promise<void> {
  const { status: found, text } = await answer;
  if (found !== status || !text.includes(`"code":"${code}"`))
    throw new Error(`expected ${status} ${code}, got ${found}: ${text}`);
}
