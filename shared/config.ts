// Every setting of every process, read once from the environment and checked before anything starts.
// The only file that reads `process.env`; `.env.example` repeats this list and a test holds the two equal.

import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';

/** The folder that holds package.json, the same from source and from the compiled `dist/`. */
export const packageRoot = findPackageRoot(import.meta.dirname);

const bool = z.enum(['true', 'false']).transform((value) => value === 'true');
const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const folder = z.string().transform((path) => (isAbsolute(path) ? path : join(packageRoot, path)));

/** Name, bounds and default of each environment variable. Durations are milliseconds unless the name says otherwise. */
export const configSchema = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LOG_LEVEL: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug']).default('info'),

  HOST: z.string().default('127.0.0.1'),
  PORT: int(0, 65_535).default(3000),
  METRICS_PORT: int(0, 65_535).default(0),
  AUTH: z.enum(['off', 'on']).default('off'),

  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).default('postgres://soma@127.0.0.1:5432/soma'),
  DATABASE_POOL_MAX: int(2, 100).default(8),
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).default('redis://127.0.0.1:6379'),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[\w{}-]+$/)
    .default('{soma}'),
  NEO4J_URL: z.union([z.literal(''), z.url({ protocol: /^(bolt|neo4j)(\+s|\+ssc)?$/ })]).default(''),
  NEO4J_USER: z.string().default('neo4j'),
  NEO4J_PASSWORD: z.string().default(''),

  WORKERS: int(0, 256).default(Math.max(1, cpus().length)),
  AUTOSCALE_AGE_MS: int(50, 3_600_000).default(2000),
  AUTOSCALE_IDLE_MS: int(500, 86_400_000).default(60_000),
  MODELS_DIR: folder.prefault('models/artifacts'),
  ORT_THREADS: int(1, 64).default(1),
  WORKER_NICE: int(0, 19).default(10),
  DEVICE: z
    .string()
    .regex(/^(cpu|cuda:\d{1,2})$/, 'is cpu or cuda:<number>')
    .default('cpu'),
  DEVICE_FALLBACK: z.enum(['none', 'cpu']).default('none'),
  GPU_MICRO_BATCH_ITEMS_MAX: int(1, 4096).default(128),

  INTAKE_WINDOW_MS: int(0, 100).default(3),
  INTAKE_GROUP_JOBS_MAX: int(1, 1000).default(200),
  INTAKE_GROUPS_IN_FLIGHT_MAX: int(1, 16).default(2),
  INTAKE_PENDING_JOBS_MAX: int(1, 100_000).default(5000),
  QUEUE_AGE_MS_MAX: int(100, 86_400_000).default(600_000),
  INTAKE_TIMEOUT_MS: int(100, 30_000).default(1500),
  QUOTA_TIMEOUT_MS: int(10, 10_000).default(100),
  BODY_BYTES_MAX: int(1024, 16_777_216).default(1_048_576),
  BATCH_BYTES_MAX: int(1024, 1_073_741_824).default(268_435_456),
  UPLOAD_IDLE_MS: int(1000, 600_000).default(60_000),
  UPLOAD_RESUME_MS: int(1000, 86_400_000).default(600_000),
  CONNECTIONS_MAX: int(1, 100_000).default(10_000),

  POOL_ITEMS_MAX: int(1, 4096).default(256),
  SHARED_POOL_ITEMS_MAX: int(1, 4096).default(64),
  POOL_TOKENS_MAX: int(128, 1_000_000).default(16_384),
  POOL_GOAL_MS: int(10, 600_000).default(1000),
  POOL_WAIT_MS: int(0, 1000).default(5),
  FLUSH_MS: int(0, 1000).default(100),
  MICRO_BATCH_ITEMS_MAX: int(1, 256).default(16),
  INFERENCE_TIMEOUT_MS: int(100, 600_000).default(30_000),
  RESULT_CACHE_MB: int(0, 65_536).default(64),
  RESULT_CACHE_TTL_S: int(1, 86_400).default(900),
  ATTEMPTS_MAX: int(1, 100).default(5),
  LEASE_MS: int(1000, 600_000).default(15_000),
  LOCK_MS: int(1000, 600_000).default(15_000),
  STALLED_CHECK_MS: int(500, 600_000).default(5000),
  DRAIN_MS: int(1000, 600_000).default(25_000),
  PROGRESS_MS: int(1000, 3_600_000).default(60_000),

  DISPATCH_TICK_MS: int(5, 60_000).default(50),
  BATCH_TICK_MS: int(5, 60_000).default(100),
  PROJECT_TICK_MS: int(10, 600_000).default(500),
  RECONCILE_MS: int(200, 600_000).default(5000),
  WINDOW_POOLS_PER_WORKER: int(1, 64).default(2),
  PRIORITY_FLOOR_PERCENT: int(1, 33).default(11),
  PRIORITY_AGE_MS: int(1000, 86_400_000).default(300_000),

  WEBHOOK_KEYS: z.string().default(''),
  WEBHOOK_PORTS: z
    .string()
    .regex(/^\d{1,5}(,\d{1,5})*$/)
    .default('443'),
  WEBHOOK_ALLOW_LOOPBACK: bool.default(false),
  WEBHOOK_TIMEOUT_MS: int(100, 120_000).default(15_000),
  WEBHOOK_CONNECT_MS: int(50, 60_000).default(5000),
  WEBHOOK_CONCURRENCY: int(1, 64).default(4),
  WEBHOOK_IN_FLIGHT_MAX: int(1, 10_000).default(1000),
  WEBHOOK_TICK_MS: int(10, 60_000).default(500),

  FAULT_INJECTION: bool.default(false),
});

export type Config = z.infer<typeof configSchema>;

/** What the commands that only call the API need; apart, so that they run where no server is configured. */
export const clientConfigSchema = z.object({
  SOMA_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:3000'),
  SOMA_API_KEY: z.string().default(''),
});

export type ClientConfig = z.infer<typeof clientConfigSchema>;

/**
 * Reads and checks the configuration.
 * @throws Error naming every variable that is missing or out of range.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const config = readEnv(configSchema, env);
  refuseUnsafe(config);
  return config;
}

/** Where the API is, and the key for it. @throws Error naming the variable that is wrong. */
export function readClientConfig(env: NodeJS.ProcessEnv = process.env): ClientConfig {
  return readEnv(clientConfigSchema, env);
}

/** The environment that a child process gets: ours, with `changes` on top. */
export function childEnv(changes: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}

function readEnv<Schema extends z.ZodType>(schema: Schema, env: NodeJS.ProcessEnv): z.output<Schema> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw new Error(`configuration: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function refuseUnsafe(config: Config): void {
  const loopback = ['127.0.0.1', '::1', 'localhost'].includes(config.HOST);
  if (!loopback && config.AUTH === 'off') {
    throw new Error(
      `configuration: HOST=${config.HOST} is reachable by others and the API asks for no key; set AUTH=on and make keys with npm run keys`,
    );
  }
  if (config.WEBHOOK_ALLOW_LOOPBACK && config.NODE_ENV === 'production') {
    throw new Error('configuration: WEBHOOK_ALLOW_LOOPBACK=true is refused when NODE_ENV=production');
  }
  if (config.FAULT_INJECTION && config.NODE_ENV === 'production') {
    throw new Error('configuration: FAULT_INJECTION=true is refused when NODE_ENV=production');
  }
}

function findPackageRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${import.meta.dirname}`);
  return findPackageRoot(parent);
}
