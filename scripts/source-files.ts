// The project's own text files and what each imports, for the tests that hold the architecture.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, normalize, relative } from 'node:path';
import { packageRoot } from '../shared/config.ts';

/** One import or re-export. */
export interface Import {
  /** As written: `./x.ts`, `pg`, `node:fs`. */
  readonly specifier: string;
  /** Path from the package's root if it is relative. */
  readonly path: string | undefined;
  /** npm package without its subpath, if it is one. */
  readonly npm: string | undefined;
  /** Names between the braces, as exported by the other side. */
  readonly names: readonly string[];
  readonly line: number;
}

/** A TypeScript file. */
export interface SourceFile {
  /** From the package's root, `/` between folders. */
  readonly path: string;
  /** First folder of the path. */
  readonly room: string;
  readonly text: string;
  /** `text` with comments, strings and regular expressions blanked out; lines keep their numbers. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** What a build, an installer or a run leaves in the checkout; `.gitignore` has it. */
const left = /^(node_modules|dist|\.git|\.services|\.env|__pycache__|\.venv|.*\.(tsbuildinfo|log))$/;

/** Names at the top level that belong to the project. */
export function topLevel(): readonly string[] {
  return readdirSync(packageRoot).filter((name) => !left.test(name));
}

/** Paths of all files of the project whose extension (or whole name, without one) is among `endings`. */
export function listFiles(endings: readonly string[], folder = packageRoot): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !left.test(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return listFiles(endings, path);
      return endings.includes(extname(entry.name) || entry.name) ? [relative(packageRoot, path)] : [];
    })
    .sort();
}

/** Every TypeScript file of the project. */
export function readSources(): readonly SourceFile[] {
  return listFiles(['.ts']).map((path) => parseSource(path, readFileSync(join(packageRoot, path), 'utf8')));
}

/** @param path from the package's root. */
export function parseSource(path: string, text: string): SourceFile {
  return { path, room: path.split('/')[0] ?? '', text, code: blank(text), imports: findImports(path, text) };
}

/** The number of the line that holds the character at `index`. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

const importPattern =
  /^(?:import|export)\s(?:type\s)?(?:[^'"`;]*?\sfrom\s)?\s*'(?<from>[^']+)'|\bimport\('(?<lazy>[^']+)'\)/gm;

function findImports(path: string, text: string): readonly Import[] {
  return [...text.matchAll(importPattern)].map((match) => {
    const specifier = match.groups?.['from'] ?? match.groups?.['lazy'] ?? '';
    const braces = /\{([^}]*)\}/.exec(match[0])?.[1] ?? '';
    const isRelative = specifier.startsWith('.');
    return {
      specifier,
      path: isRelative ? normalize(join(dirname(path), specifier)) : undefined,
      npm: isRelative || specifier.startsWith('node:') ? undefined : packageOf(specifier),
      names: braces
        .split(',')
        .map(exportedName)
        .filter((name) => name !== ''),
      line: lineAt(text, match.index),
    };
  });
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** `type Tx as T` is `Tx`. */
function exportedName(part: string): string {
  return (
    part
      .trim()
      .replace(/^type\s+/, '')
      .split(/\s+as\s+/)[0] ?? ''
  );
}

const uncode = [
  /\/\*[\s\S]*?\*\//, // block comment
  /\/\/[^\n]*/,
  /'(?:\\.|[^'\\\n])*'/,
  /"(?:\\.|[^"\\\n])*"/,
  /`(?:\\[\s\S]|[^`\\])*`/,
  /(?<=[(,=:[!&|?{};>]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[dgimsuvy]*/, // regular expression
];
const uncodePattern = new RegExp(uncode.map((pattern) => pattern.source).join('|'), 'g');

function blank(text: string): string {
  return text.replace(uncodePattern, (found) => found.replace(/[^\n]/g, ' '));
}
