// The half of `webhook-proofs` about receivers that fail: the sender walks through its schedule against each of them, by
// real sockets and on a clock that is turned, and what the ledger's log says is held against what is documented.

import { Webhook } from 'standardwebhooks';
import {
  createFaultyReceivers,
  type FaultyReceiver,
  type FaultyReceivers as Receivers,
} from '../shared/faulty-receivers.ts';
import { type AttemptOutcome, deliveryIds, scheduleMs } from '../shared/webhook.ts';
import type { DeliveryState, WebhookRig } from '../workers/webhook-rig.ts';
import { round } from './report.ts';

/** What a receiver does, and what is to come of a message to it. */
interface Fault {
  readonly name: string;
  readonly url: string;
  /** The `webhook-id`s that came in; undefined where no request can be read. */
  readonly ids?: readonly string[];
  readonly outcomes: readonly AttemptOutcome[];
  /** Seconds before each attempt, at least and at most. */
  readonly waits: readonly (readonly [least: number, most: number])[];
  readonly ends: string;
}

export interface FaultRun {
  readonly fault: string;
  readonly expected: readonly string[];
  readonly logged: readonly string[];
  readonly detail: string | null;
  readonly ends: string;
  readonly delaySeconds: readonly number[];
  readonly scheduleSeconds: readonly (readonly [number, number])[];
  /** How many different ids came in; null where no request can be read. */
  readonly ids: number | null;
  readonly asDocumented: boolean;
}

export interface FaultProof {
  readonly runs: readonly FaultRun[];
  /** What was taken of an answer of 100 MB. */
  readonly floodBytes: number;
  /** Redirects that were answered, and connections to where they point. */
  readonly redirects: number;
  readonly redirectReached: number;
  /** Messages that came in, and how many of them the public package verifies. */
  readonly received: number;
  readonly verified: number;
  /** Connections to the canary when a message is sent to it: it can be reached. */
  readonly controlReached: number;
}

const jitter = scheduleMs.map((ms) => [(0.8 * ms) / 1000, (1.2 * ms) / 1000] as const);
/** Clocks are read in milliseconds. */
const toleranceSeconds = 0.01;

export async function proveFaults(rig: WebhookRig): Promise<FaultProof> {
  const receivers = createFaultyReceivers();
  try {
    const canary = await receivers.canary();
    const flooding = await receivers.flooding();
    const signed = await proveSignatures(rig, receivers);
    const faults = [
      ...(await startAnswers(receivers, { canaryPort: canary.port, flooding })),
      ...(await startSilences(receivers)),
    ];
    const runs: FaultRun[] = [];
    for (const fault of faults) runs.push(await runFault(rig, fault));
    const redirects = [301, 302, 303, 307, 308];
    for (const status of redirects) {
      const url = await redirecting(receivers, status, canary.port);
      await sendOne(rig, url.url);
    }
    const redirectReached = canary.reached();
    await sendOne(rig, `http://127.0.0.1:${canary.port}/`);
    return {
      runs,
      floodBytes: flooding.sentBytes(),
      redirects: redirects.length,
      redirectReached,
      ...signed,
      controlReached: canary.reached() - redirectReached,
    };
  } finally {
    receivers.close();
  }
}

async function redirecting(receivers: Receivers, status: number, to: number) {
  const location = `http://127.0.0.1:${to}/`;
  const { port, ids } = await receivers.answering(
    (_, response) => void response.writeHead(status, { location }).end(),
  );
  return { url: `http://127.0.0.1:${port}/`, ids };
}

/** What comes of a message that fails to the end of its schedule, and of one that has a single attempt. */
const always = (outcome: AttemptOutcome) => ({
  outcomes: scheduleMs.map(() => outcome),
  waits: jitter,
  ends: 'failed, exhausted',
});
const once = (outcome: AttemptOutcome, ends: string) => ({
  outcomes: [outcome],
  waits: jitter.slice(0, 1),
  ends,
});
const http = ({ port, ids }: Pick<FaultyReceiver, 'port' | 'ids'>) => ({
  url: `http://127.0.0.1:${port}/`,
  ids,
});

/** Receivers that answer what no sender likes. */
async function startAnswers(
  receivers: Receivers,
  { canaryPort, flooding }: { readonly canaryPort: number; readonly flooding: FaultyReceiver },
): Promise<Fault[]> {
  const asks = ['120', '10000'];
  const busy = await receivers.answering((_, response) => {
    const seconds = asks.shift();
    response.writeHead(
      seconds === undefined ? 204 : 429,
      seconds === undefined ? {} : { 'retry-after': seconds },
    );
    response.end();
  });
  const failing = await receivers.answering((_, response) => void response.writeHead(500).end());
  const gone = await receivers.answering((_, response) => void response.writeHead(410).end());
  return [
    { name: '500', ...http(failing), ...always('http_error') },
    {
      name: '429 + Retry-After of 120 s and 10,000 s',
      ...http(busy),
      outcomes: ['rate_limited', 'rate_limited', 'succeeded'],
      waits: [
        [0, 0],
        [120, 120],
        [10_000, 10_000],
      ],
      ends: 'succeeded',
    },
    { name: '301', ...(await redirecting(receivers, 301, canaryPort)), ...always('redirect') },
    { name: '410', ...http(gone), ...once('gone', 'failed, gone') },
    { name: 'slow drip', ...http(await receivers.dripping()), ...always('timed_out') },
    { name: '100 MB body', ...http(flooding), ...once('succeeded', 'succeeded') },
  ];
}

/** Receivers of which no answer comes. */
async function startSilences(receivers: Receivers): Promise<Fault[]> {
  const plain = await receivers.answering((_, response) => void response.end());
  const selfSigned = await receivers.selfSigned();
  const silent = await receivers.silent();
  const closed = await receivers.closed();
  return [
    {
      name: 'bad TLS: signed by nobody',
      url: `https://localhost:${selfSigned.port}/`,
      ...always('tls_failed'),
    },
    { name: 'bad TLS: none', url: `https://127.0.0.1:${plain.port}/`, ...always('tls_failed') },
    {
      name: 'half-open: TCP, then nothing',
      url: `https://127.0.0.1:${silent.port}/`,
      ...always('connect_timed_out'),
    },
    { name: 'half-open: request, then nothing', ...http(silent), ...always('timed_out') },
    { name: 'reset', ...http(await receivers.resetting()), ...always('connection_reset') },
    { name: 'nobody listens', url: `http://127.0.0.1:${closed}/`, ...always('connection_refused') },
  ];
}

/** Lets a message have all of its attempts. */
async function runFault(rig: WebhookRig, fault: Fault): Promise<FaultRun> {
  const { id: endpointId } = await rig.makeEndpoint(fault.url);
  const [id = ''] = await rig.deliver({ endpointId });
  await rig.run();
  const waits = [0];
  let state = await rig.stateOf(id);
  while (state.status === 'pending' && waits.length < 20) {
    const latencyMs = state.latenciesMs.at(-1) ?? 0;
    waits.push((await rig.runNext(id)) - latencyMs / 1000);
    state = await rig.stateOf(id);
  }
  return judge(fault, id, waits, state);
}

function judge(fault: Fault, id: string, waits: readonly number[], state: DeliveryState): FaultRun {
  const ends = [state.status, ...(state.statusReason === null ? [] : [state.statusReason])].join(', ');
  const ids = fault.ids === undefined ? null : new Set(fault.ids);
  const inTime = waits.every((wait, index) => {
    const [least, most] = fault.waits[index] ?? [Number.NaN, Number.NaN];
    return wait >= least - toleranceSeconds && wait <= most + toleranceSeconds;
  });
  const asDocumented =
    inTime &&
    ends === fault.ends &&
    state.outcomes.join() === fault.outcomes.join() &&
    (ids === null ||
      (ids.size === 1 && ids.has(deliveryIds.format(id)) && fault.ids?.length === waits.length));
  return {
    fault: fault.name,
    expected: fault.outcomes,
    logged: state.outcomes,
    detail: state.details.at(-1) ?? null,
    ends,
    delaySeconds: waits.map((wait) => round(wait, 3)),
    scheduleSeconds: fault.waits,
    ids: ids === null ? null : ids.size,
    asDocumented,
  };
}

async function sendOne(rig: WebhookRig, url: string): Promise<void> {
  const { id: endpointId } = await rig.makeEndpoint(url);
  await rig.deliver({ endpointId });
  await rig.run();
}

/** Messages as they come over the wire, verified by the public package with the secret of their endpoint. */
async function proveSignatures(rig: WebhookRig, receivers: Receivers) {
  const came: { readonly headers: Record<string, string>; readonly body: string }[] = [];
  const { port } = await receivers.answering((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
      came.push({ headers: Object.fromEntries(headers), body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
    });
  });
  const { id: endpointId, secret } = await rig.makeEndpoint(`http://127.0.0.1:${port}/`);
  await rig.deliver({ endpointId }, 100);
  await rig.run();
  const webhook = new Webhook(secret);
  const verified = came.filter(({ headers, body }) => {
    try {
      webhook.verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });
  return { received: came.length, verified: verified.length };
}
