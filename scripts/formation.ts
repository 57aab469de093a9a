// What `npm start` is going to run, decided before anything runs: which processes, where on the machine, on which ports.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allowedCores, readCpus } from '../shared/allowed-cores.ts';
import { type Config, childEnv, packageRoot, readConfig } from '../shared/config.ts';
import { describeError } from './describe-error.ts';
import { findOnPath, runsHere } from './find-on-path.ts';
import { checkPort, freePort, freePorts } from './free-port.ts';
import { type PlannedProcess, parseFormation, parseProcfile, planProcesses } from './procfile.ts';
import { parseScale } from './scale-rule.ts';

/** One process with the port on which it answers `/health/ready` and `/metrics`: PORT for the API, else its own. */
export interface Member extends PlannedProcess {
  readonly port: number;
}

/** All of them, with the settings that they share. */
export interface Formation {
  readonly config: Config;
  /** Whether a Neo4j is to be started, if none is given. */
  readonly neo4j: boolean;
  readonly members: readonly Member[];
  /** Between how many analysis processes the launcher chooses; undefined if their number is fixed. */
  readonly scale: { readonly min: number; readonly max: number } | undefined;
}

/**
 * Reads the command line, the configuration and the Procfile.
 * @throws Error that says what to change when they do not fit together or the port is taken.
 */
export async function readFormation(args: readonly string[]): Promise<Formation> {
  const options = {
    formation: { type: 'string', default: '' },
    port: { type: 'string' },
    neo4j: { type: 'boolean', default: false },
    autoscale: { type: 'string' },
    cpus: { type: 'string' },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  const config = readConfig(childEnv(values.port === undefined ? {} : { PORT: values.port }));
  const lines = parseProcfile(readFileSync(join(packageRoot, 'Procfile'), 'utf8'));
  const names = lines.map((line) => line.name);
  const graphs = values.neo4j || config.NEO4J_URL !== '' ? 1 : 0;
  const defaults = [['analysis', config.WORKERS] as const, ['graph', graphs] as const];
  const counts = new Map([...defaults, ...parseFormation(values.formation, names)]);
  const scale = values.autoscale === undefined ? undefined : parseScale(values.autoscale);
  if (scale !== undefined) counts.set('analysis', scale.max);
  if ((counts.get('api') ?? 1) > 1) throw new Error('--formation: one api at most, since its port is one');
  const plan = planProcesses(lines, counts, placesFor(values.cpus));
  const ports = await choosePorts(config, plan);
  const members = plan.map((planned, index) => ({ ...planned, port: ports[index] ?? 0 }));
  return { config, neo4j: values.neo4j, members, scale };
}

/** Where the analysis processes go: to the cores that were asked for, or to all of ours if there are several. */
function placesFor(cpus: string | undefined): readonly number[] {
  const cores = cpus === undefined ? allowedCores() : readCpus(cpus);
  const works = findOnPath('taskset') !== undefined && runsHere(['taskset', '-c', String(cores[0]), 'true']);
  if (cpus !== undefined && !works)
    throw new Error('--cpus needs taskset (of util-linux), which is not here or may not be used');
  return works && (cores.length > 1 || cpus !== undefined) ? cores : [];
}

/** METRICS_PORT and the ports after it when it is set, so that a scraper knows them; else any that are free. */
async function choosePorts(config: Config, plan: readonly PlannedProcess[]): Promise<readonly number[]> {
  const api = plan.some(({ name }) => name === 'api') ? await apiPort(config) : config.PORT;
  const free = await freePorts(plan.length);
  const own = config.METRICS_PORT === 0 ? free : free.map((_, index) => config.METRICS_PORT + index);
  return plan.map(({ name }, index) => (name === 'api' ? api : (own[index] ?? 0)));
}

async function apiPort({ HOST, PORT }: Config): Promise<number> {
  if (PORT === 0) return freePort();
  try {
    await checkPort(HOST, PORT);
    return PORT;
  } catch (cause) {
    const why =
      cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
        ? 'is taken'
        : 'cannot be used';
    const remedy = `choose another with \`npm start -- --port ${PORT + 1}\` or PORT=${PORT + 1}`;
    throw new Error(`port ${PORT} on ${HOST} ${why} (${describeError(cause)}): ${remedy}`, { cause });
  }
}
