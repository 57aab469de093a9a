// Looks for words in the bytes of files: what an operator with a disk in their hands would find.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @returns the files under `root` with one of the words in them, relative to it; those that end meanwhile are passed over */
export function findFiles(root: string, words: readonly string[]): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => hasWord(path, words))
    .map((path) => path.slice(root.length + 1));
}

function hasWord(path: string, words: readonly string[]): boolean {
  try {
    const bytes = readFileSync(path);
    return words.some((word) => bytes.includes(word));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
