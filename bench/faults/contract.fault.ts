// `npm run contract`: schemathesis makes requests from the OpenAPI document, good and bad ones, and compares each answer
// with it: against a whole system without keys and one with them. Then the tests that walk every operation are run. The
// result goes to bench/results/contract.json.

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { ensureTenant, insertKey } from '../../db/keys.ts';
import { createLiveSystem, type LiveSystem } from '../../scripts/live-system.ts';
import { createApiKey, scopes } from '../../shared/api-key.ts';
import { childEnv, packageRoot, readConfig } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';
import { runTestFile, toFigures } from '../test-file.ts';

const settings = z
  .object({
    CONTRACT_SEED: z.coerce.number().int().min(0).default(20_261_125),
    /** Cases per operation in the phases that generate them. */
    CONTRACT_EXAMPLES: z.coerce.number().int().min(1).default(10),
    CONTRACT_SECONDS: z.coerce.number().int().min(10).default(75),
  })
  .parse(childEnv({}));

const folder = join(packageRoot, 'bench/contract');
const requirements = join(folder, 'requirements.txt');

/** schemathesis in the virtual environment of this checkout, else on PATH. @throws Error that says how to install it */
function findSchemathesis(): string {
  const wanted = /^schemathesis==(\S+)$/m.exec(readFileSync(requirements, 'utf8'))?.[1];
  const own = join(packageRoot, '.venv/bin/schemathesis');
  const program = existsSync(own) ? own : 'schemathesis';
  const told = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const found = /\d+\.\d+\.\d+/.exec(told.stdout ?? '')?.[0];
  if (found === wanted) return program;
  throw new Error(
    `needs schemathesis ${wanted}, and there is ${found ?? 'none'}: python3 -m venv .venv && .venv/bin/pip install -r bench/contract/requirements.txt`,
  );
}

const reportSchema = z.object({
  running_time: z.number(),
  operations: z.object({ total: z.number(), tested: z.number() }),
  phases: z.record(z.string(), z.object({ status: z.string() })),
  test_cases: z.object({ generated: z.number(), unique_failures: z.number(), errored: z.number() }),
  failures: z.array(
    z.object({ code: z.string(), title: z.string(), count: z.number(), operations: z.array(z.string()) }),
  ),
  errors: z.array(z.looseObject({ title: z.string().optional() })),
});

type Run = z.infer<typeof reportSchema> & { readonly auth: 'off' | 'on'; readonly seed: number };

async function runAgainst(program: string, auth: 'off' | 'on', seed: number): Promise<Run> {
  const system = await createLiveSystem({
    AUTH: auth,
    WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  });
  const scratch = mkdtempSync(join(tmpdir(), 'soma-contract-'));
  try {
    const [api] = await Promise.all([
      system.start('api'),
      system.start('analysis'),
      system.start('profile'),
      system.start('dispatcher'),
    ]);
    // The header that every request has is no parameter that could be missing; that keys are asked for is checked all
    // the same (`ignored_auth`, and api/contract.live.ts for every operation).
    const key =
      auth === 'on'
        ? [
            '--header',
            `Authorization: Bearer ${await makeKey(system)}`,
            '--exclude-checks',
            'missing_required_header',
          ]
        : [];
    const report = join(scratch, 'report.json');
    const chosen = {
      seed,
      phases: 'examples,coverage,fuzzing,stateful',
      'max-examples': settings.CONTRACT_EXAMPLES,
      'max-time': settings.CONTRACT_SECONDS,
      'request-timeout': 70,
      report: 'json',
      'report-json-path': report,
    };
    const options = Object.entries(chosen).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const config = ['--config-file', join(folder, 'schemathesis.toml')];
    const args = [
      ...config,
      'run',
      `${api.address}/openapi.json`,
      '--continue-on-failure',
      ...key,
      ...options,
    ];
    const quotas = forgetQuotas(system);
    const tester = spawn(program, args, {
      cwd: scratch,
      env: childEnv({ SCHEMATHESIS_HOOKS: join(folder, 'hooks.py') }),
      stdio: 'inherit',
    });
    await once(tester, 'exit').finally(quotas.close);
    return { ...reportSchema.parse(JSON.parse(readFileSync(report, 'utf8'))), auth, seed };
  } finally {
    await system.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** So that answers are about more than quotas, which api/contract.live.ts walks: every window ends within a second. */
function forgetQuotas({ env }: LiveSystem): { readonly close: () => void } {
  const redis = new Redis(readConfig().REDIS_URL, { maxRetriesPerRequest: null });
  const forget = async (): Promise<void> => {
    const windows = await redis.keys(`${env['QUEUE_PREFIX']}:quota:*`);
    if (windows.length > 0) await redis.del(...windows);
  };
  let forgetting = Promise.resolve();
  const timer = setInterval(() => {
    forgetting = forgetting.then(forget);
  }, 1000);
  return {
    close: () => {
      clearInterval(timer);
      redis.disconnect();
    },
  };
}

async function makeKey({ owner }: LiveSystem): Promise<string> {
  const tenantId = await ensureTenant(owner, 'contract', 'premium');
  const key = createApiKey();
  await insertKey(owner, { id: key.id, tenantId, hash: key.hash, scopes });
  return key.text;
}

/** Tests that ask every operation of the document, which no invented request can replace: what each shows. */
const walks = {
  'api/contract.live': 'every operation with every error',
  'api/tenants.live': "two tenants with every route and method: another's ids",
} as const;

async function main(): Promise<boolean> {
  const program = findSchemathesis();
  const seed = settings.CONTRACT_SEED;
  const started = startReport();
  const runs = [await runAgainst(program, 'off', seed), await runAgainst(program, 'on', seed + 1)];
  const walked = Object.entries(walks).map(([file, name]) => runTestFile(file, name));
  return writeReport(started, {
    part: 'contract',
    seed,
    kind: 'emotion',
    settings,
    rounds: [...runs, ...walked],
    summary: runs.map(({ auth, test_cases: cases }) => ({ auth, cases: cases.generated })),
    figures: [
      ...toFigures(walked),
      ...runs.flatMap(({ auth, operations, test_cases: cases, errors }) => [
        none(`AUTH=${auth}: operations not tested`, operations.total - operations.tested),
        none(`AUTH=${auth}: answers other than documented`, cases.unique_failures),
        none(`AUTH=${auth}: errors of the run`, errors.length + cases.errored),
      ]),
    ],
  });
}

const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;

main().then(
  (met) => {
    process.exitCode = met ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
