// The last step of a start: says when the system can be used, and how.

import type { Formation } from './formation.ts';
import type { Output } from './output.ts';
import { waitUntilReady } from './wait-until-ready.ts';

/** After so long we say what we still wait for. */
const slowStartMs = 30_000;

/** Tells, once the API and a worker are ready, how to use them. */
export async function announce(
  { config, members }: Formation,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const addressesOf = (name: string) =>
    members
      .filter((member) => member.name === name)
      .map(({ port }) => `http://${hostToAsk(config.HOST)}:${port}`);
  const isReady = (name: string) =>
    waitUntilReady(
      addressesOf(name).map((address) => `${address}/health/ready`),
      signal,
    );
  const tellSlow = () => output.say('still waiting for the API and a worker to be ready; see above');
  const slow = setTimeout(tellSlow, slowStartMs);
  const ready = await Promise.all([isReady('api'), isReady('analysis')]);
  clearTimeout(slow);
  if (ready.includes(false)) return;
  output.say(`ready in ${(performance.now() / 1000).toFixed(1)} s`);
  for (const api of addressesOf('api')) process.stdout.write(invitation(api, config.AUTH === 'on'));
}

function invitation(api: string, needsKey: boolean): string {
  const body = JSON.stringify({ kind: 'emotion', input: { text: 'Thank you so much, this made my day!' } });
  const key = needsKey ? ` -H 'Authorization: Bearer <key>'` : '';
  return [
    '',
    `curl -s ${api}/v1/jobs${key} -H 'content-type: application/json' -H 'Prefer: wait=10' -d '${body}'`,
    '',
    `Documentation: ${api}/docs    Stop: Ctrl-C`,
    '',
    '',
  ].join('\n');
}

/** An address under which a server that listens on `host` is reached from here. */
function hostToAsk(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
