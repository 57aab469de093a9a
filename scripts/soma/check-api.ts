// What `soma doctor` asks of the API, as any client would: is it there, is it ours, is it ready, does the key fit,
// does its clock agree.

import { z } from 'zod';
import { createClient } from '../../shared/client/client.ts';
import { SomaError } from '../../shared/client/soma-error.ts';
import { parseApiKey } from '../../shared/api-key.ts';
import { describeError } from '../describe-error.ts';
import { fail, type Finding, ok, skip, warn } from './finding.ts';
import { judgeSkew } from './check-servers.ts';

const limitMs = 5000;

export async function checkApi(url: string, apiKey: string): Promise<readonly Finding[]> {
  const reached = await reach(url);
  if (reached.date === undefined) return [reached.finding, skip('key', 'nobody to show it to')];
  return [
    reached.finding,
    judgeSkew('clock of the api', reached.date - Date.now()),
    await checkKey(url, apiKey),
  ];
}

/** `date` is the server's clock, if a Soma has answered. */
async function reach(url: string): Promise<{ readonly finding: Finding; readonly date?: number }> {
  const name = 'api';
  const port = new URL(url).port || '80';
  try {
    const response = await fetch(new URL('/health/ready', url), { signal: AbortSignal.timeout(limitMs) });
    const body = z
      .object({ status: z.string(), checks: z.unknown() })
      .safeParse(await response.json().catch(() => undefined)).data;
    if (body === undefined) {
      const detail = `something else than Soma answers at ${url}`;
      return {
        finding: fail(name, detail, `Stop what has port ${port}, or npm start -- --port ${Number(port) + 1}`),
      };
    }
    // The header has whole seconds: half of one is its mean error.
    const date = Date.parse(response.headers.get('date') ?? '') + 500;
    return body.status === 'ok'
      ? { finding: ok(name, `ready at ${url}`), date }
      : {
          finding: fail(
            name,
            `not ready at ${url}: ${JSON.stringify(body.checks)}`,
            'See postgres and migrations',
          ),
          date,
        };
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const remedy = 'npm start, or name another address with --url or SOMA_URL';
    return { finding: fail(name, `nobody answers at ${url}: ${describeError(cause)}`, remedy) };
  }
}

async function checkKey(url: string, apiKey: string): Promise<Finding> {
  const name = 'key';
  const make = 'soma keys create --tenant <name> --scopes jobs:write,jobs:read, and put it into SOMA_API_KEY';
  if (apiKey !== '' && parseApiKey(apiKey) === undefined)
    return fail(name, 'SOMA_API_KEY is cut or mistyped: its checksum does not fit', make);
  try {
    await createClient({ url, apiKey, timeoutMs: limitMs, retries: 0 }).call('GET /v1/jobs', {
      query: { limit: 1 },
    });
    return ok(name, apiKey === '' ? 'none is asked for' : 'is accepted');
  } catch (error) {
    if (!(error instanceof SomaError)) return fail(name, describeError(error), make);
    if (error.code === 'unauthenticated') return fail(name, 'the server asks for one', make);
    if (error.code === 'invalid_key') return fail(name, 'unknown to the server, or revoked', make);
    if (error.code === 'insufficient_scope')
      return warn(name, 'is known, but may not list jobs', 'Make one with the scope jobs:read');
    if (error.status === 429) return warn(name, error.message, 'Wait, or give the tenant a larger --tier');
    return fail(name, error.message, 'See api');
  }
}
