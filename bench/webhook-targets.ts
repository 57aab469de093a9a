// The half of `webhook-proofs` about private targets: every spelling of them is registered with the API and, behind its
// back, laid into the ledger for the webhooks process, both as in production; and names that change their mind. A canary
// on all addresses of this machine counts who comes.

import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '../db/client.ts';
import { send } from '../scripts/live-client.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { createFaultyReceivers } from '../shared/faulty-receivers.ts';
import { privateHosts, reboundAddresses } from '../shared/private-hosts.ts';
import { type FindAddresses, judgeHost, readTargetPolicy } from '../shared/public-address.ts';
import { readSecretKeys } from '../shared/sealed-secret.ts';
import { createWebhookRig, insertEndpoint, insertMessages, readState } from '../workers/webhook-rig.ts';

export interface TargetProof {
  readonly spellings: number;
  readonly schemes: readonly string[];
  /** Spellings that the API took, for an endpoint or for a job, and those of which an attempt was logged otherwise than refused. */
  readonly registered: readonly string[];
  readonly notRefused: readonly string[];
  /** Names that are public when they are registered and private when they are sent to. */
  readonly rebound: number;
  readonly reboundNotRefused: readonly string[];
  /** Connections to the canary. */
  readonly reached: number;
}

const schemes = ['http', 'https'] as const;
const attemptMsMax = 60_000;

export async function proveTargets(keyText: string): Promise<TargetProof> {
  const receivers = createFaultyReceivers();
  const canary = await receivers.canary();
  const settings = { NODE_ENV: 'production', WEBHOOK_KEYS: keyText, WEBHOOK_PORTS: String(canary.port) };
  const system = await createLiveSystem(settings);
  try {
    const urls = privateHosts.flatMap((host) =>
      schemes.map((scheme) => `${scheme}://${host}:${canary.port}/`),
    );
    const api = await system.start('api');
    const registered = await register(api.address, urls);
    const sender = await system.start('webhooks');
    const notRefused = await deliver(system.databaseUrl, keyText, urls);
    await sender.stop();
    const config = readConfig({ ...system.env, DATABASE_URL: system.databaseUrl });
    const reboundNotRefused = await rebind({ config, keyText, port: canary.port });
    return {
      spellings: privateHosts.length,
      schemes,
      registered,
      notRefused,
      rebound: rebindings.length,
      reboundNotRefused,
      reached: canary.reached(),
    };
  } finally {
    await system.close();
    receivers.close();
  }
}

/** Asks the API for an endpoint and for a job's webhook at each URL. @returns what was not refused for its address */
async function register(api: string, urls: readonly string[]): Promise<string[]> {
  const taken: string[] = [];
  for (const url of urls) {
    const job = { kind: 'emotion', input: { text: 'Good news' }, webhook: { url } };
    const answers = [
      await send(`${api}/v1/webhook_endpoints`, 'POST', { url }),
      await send(`${api}/v1/jobs`, 'POST', job),
    ];
    const refused = answers.every(
      ({ status, text }) => status === 422 && text.includes('"code":"address_refused"'),
    );
    if (!refused) taken.push(url);
  }
  return taken;
}

/** Sends a message to each URL, as if it had been registered. @returns those whose first attempt was not refused */
async function deliver(databaseUrl: string, keyText: string, urls: readonly string[]): Promise<string[]> {
  const keys = readSecretKeys(keyText);
  if (keys === undefined) throw new Error('no keys');
  const database = createPool(databaseUrl, { role: 'worker', max: 1 });
  try {
    const sent: { readonly url: string; readonly id: string | undefined }[] = [];
    for (const url of urls) {
      const { id: endpointId } = await insertEndpoint(database, keys, url);
      const [id] = await insertMessages(database, { endpointId }, { at: new Date(), count: 1 });
      sent.push({ url, id });
    }
    const notRefused: string[] = [];
    const deadlineMs = performance.now() + attemptMsMax;
    for (const { url, id } of sent) {
      let state = await readState(database, id);
      while (state.outcomes.length === 0) {
        if (performance.now() > deadlineMs) throw new Error(`${url} was never tried`);
        await delay(50);
        state = await readState(database, id);
      }
      if (state.outcomes.some((outcome) => outcome !== 'address_refused')) notRefused.push(url);
    }
    return notRefused;
  } finally {
    await database.end();
  }
}

const publicAddress = '8.8.8.8';
/** What a name has at the time of sending: a private address alone, and beside a public one. */
const rebindings = reboundAddresses.flatMap((address) => [[address], [publicAddress, address]]);

/** @returns the answers of a name, private at the second look, that were not refused when a message was sent to it */
async function rebind({
  config,
  keyText,
  port,
}: {
  readonly config: ReturnType<typeof readConfig>;
  readonly keyText: string;
  readonly port: number;
}): Promise<string[]> {
  let answers: readonly string[] = [publicAddress];
  const find: FindAddresses = (_host, found) =>
    found(
      null,
      answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  const rig = await createWebhookRig({ config, keyText, find });
  try {
    const notRefused: string[] = [];
    for (const [index, second] of rebindings.entries()) {
      const url = `https://rebound-${index}.example:${port}/`;
      answers = [publicAddress];
      const first = await judgeHost(new URL(url), readTargetPolicy(config), find);
      if (first !== undefined) throw new Error(`the name was refused at once: ${first.detail}`);
      answers = second;
      const { id: endpointId } = await rig.makeEndpoint(url);
      const [id] = await rig.deliver({ endpointId });
      await rig.run();
      if ((await rig.stateOf(id)).outcomes.join() !== 'address_refused') notRefused.push(second.join(' '));
    }
    return notRefused;
  } finally {
    await rig.close();
  }
}
