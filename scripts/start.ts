// `npm start`: everything that Soma is, on one machine. Servers where none are given, the schema, then the processes
// of the Procfile, kept running until told to stop; then all of it ends in the reverse order.

import { migrate } from '../db/migrate.ts';
import { childEnv, packageRoot } from '../shared/config.ts';
import { announce } from './announce.ts';
import { type Autoscaler, startAutoscaler } from './autoscale.ts';
import { describeError } from './describe-error.ts';
import { type Formation, type Member, readFormation } from './formation.ts';
import { loadEnvFile } from './load-env-file.ts';
import { createOutput, type Output } from './output.ts';
import { announceServices, withdrawServices } from './running-services.ts';
import { type Services, startServices } from './services.ts';
import { onStopRequest } from './stop-requests.ts';
import { type Supervised, supervise } from './supervise.ts';
import { keepWebhookKeys } from './webhook-keys.ts';

/** Beyond the processes' own limit for draining, so that each may end by itself. */
const killMarginMs = 2000;

async function main(): Promise<void> {
  loadEnvFile();
  const formation = await readFormation(process.argv.slice(2));
  const tty = process.stdout.isTTY === true && childEnv({})['NO_COLOR'] === undefined;
  const labels = formation.members.map((member) => member.label);
  const output = createOutput(labels, tty, (text) => process.stdout.write(text));
  process.exitCode = await run(formation, output);
}

/** Starts everything, waits for a reason to stop, stops everything; returns the exit code. */
async function run(formation: Formation, output: Output): Promise<number> {
  const stopping = new AbortController();
  const processes: Supervised[] = [];
  listenForStop(output, stopping, processes);
  let services: Services | undefined;
  let autoscaler: Autoscaler | undefined;
  let failure: unknown;
  try {
    services = await startServices({ keep: true, neo4j: formation.neo4j });
    output.say(`servers started: ${services.started.join(', ') || 'none, all are given'}`);
    announceServices(services.env);
    if (!stopping.signal.aborted) await prepareSchema(services);
    if (!stopping.signal.aborted) {
      const start = createStart(formation, services, output);
      processes.push(...startProcesses(formation, start));
      autoscaler = scaleAnalysis(formation, services, start, output);
    }
    void announce(formation, output, stopping.signal);
    const failures = [services.failed, ...[...processes, autoscaler].flatMap((one) => one?.failed ?? [])];
    failure = await Promise.race([whenAborted(stopping.signal), ...failures]);
  } catch (error) {
    failure = error;
  }
  stopping.abort();
  if (failure !== undefined) output.say(describeError(failure));
  const limitMs = formation.config.DRAIN_MS + killMarginMs;
  await Promise.all(
    [...processes, ...(autoscaler === undefined ? [] : [autoscaler])].map((one) => one.stop(limitMs)),
  );
  withdrawServices();
  await services?.stop();
  output.say('stopped');
  return failure === undefined ? 0 : 1;
}

/** The first request drains, the second kills the processes, the third leaves without a goodbye to the servers. */
function listenForStop(output: Output, stopping: AbortController, processes: readonly Supervised[]): void {
  let killed = false;
  onStopRequest(
    (reason) => {
      output.say(`${reason}: stopping; once more kills what still works`);
      stopping.abort();
    },
    () => {
      if (killed) process.exit(130);
      killed = true;
      for (const supervised of processes) void supervised.stop(0);
    },
  );
}

function whenAborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}

async function prepareSchema({ env }: Services): Promise<void> {
  try {
    await migrate(env['DATABASE_URL'] ?? '');
  } catch (cause) {
    throw new Error(`the database cannot be brought up to date: ${describeError(cause)}`, { cause });
  }
}

/** All that run from the beginning: of the analysis processes those below the minimum of the scale, if there is one. */
function startProcesses(formation: Formation, start: Start): readonly Supervised[] {
  const spare = spareMembers(formation);
  return formation.members.filter((member) => !spare.includes(member)).map(start);
}

/** What the autoscaler may start later. */
function spareMembers({ members, scale }: Formation): readonly Member[] {
  return scale === undefined ? [] : members.filter(({ name }) => name === 'analysis').slice(scale.min);
}

/** Added and drained workers are settled after 10 s: loading the models takes a few. */
const settleMs = 10_000;

function scaleAnalysis(
  formation: Formation,
  { env }: Services,
  start: Start,
  output: Output,
): Autoscaler | undefined {
  const { scale, config } = formation;
  if (scale === undefined) return undefined;
  return startAutoscaler({
    databaseUrl: env['DATABASE_URL'] ?? '',
    rule: { ...scale, ageMsMax: config.AUTOSCALE_AGE_MS, idleMs: config.AUTOSCALE_IDLE_MS, settleMs },
    spare: spareMembers(formation).map((member) => ({ label: member.label, start: () => start(member) })),
    drainMs: config.DRAIN_MS + killMarginMs,
    say: output.say,
  });
}

type Start = (member: Member) => Supervised;

/** How each process is started, be it now or by the autoscaler. */
function createStart({ config }: Formation, services: Services, output: Output): Start {
  const env = { ...services.env, ...keepWebhookKeys(config) };
  return ({ label, name, command, placement, port }) => {
    output.say(`starting ${label}${placement === '' ? '' : ` (${placement})`} on port ${port}`);
    return supervise({
      process: {
        name: label,
        command: command.map((word) => (word === 'node' ? process.execPath : word)),
        cwd: packageRoot,
        env: { ...env, [name === 'api' ? 'PORT' : 'METRICS_PORT']: String(port) },
        // When our servers die with us, there is nothing left to drain into.
        deathSignal: services.started.length > 0 ? 'KILL' : 'TERM',
        onLine: (line) => output.line(label, line),
      },
      onEvent: (message) => output.say(`!!! ${message}`),
    });
  };
}

main().catch((error: unknown) => {
  console.error(describeError(error));
  process.exitCode = 1;
});
