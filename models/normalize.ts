// Rewrites a text before the tokenizer sees it, in step with models/train/encoder.py, which did the same to
// the texts the models were trained on. Apart from the tokenizer because each model chooses its own.

import { z } from 'zod';
import { readVerified } from './tokenizer.ts';

const namesSchema = z.record(z.string().regex(/^[0-9a-f]+$/), z.string());

/** Zero-width joiner, text style, emoji style, and the five skin tones: nothing the vocabulary could say. */
const droppedCodes = [0x200d, 0xfe0e, 0xfe0f, 0x1f3fb, 0x1f3fc, 0x1f3fd, 0x1f3fe, 0x1f3ff];

/**
 * Loads the emotion model's normalizer from a tokenizer folder (emoji-names.json, manifest.json): quotes
 * straight, emoji as their lower-case Unicode names between spaces, joiners and skin tones dropped.
 * Lengths change, so nothing that reports offsets may use it. Emoji become up to 80 times as long.
 * @throws Error when a file is missing or differs from the manifest's sha256.
 */
export function loadNormalizer(folder: string): (text: string) => string {
  const names = namesSchema.parse(JSON.parse(readVerified(folder, 'emoji-names.json')));
  const replacements = new Map(droppedCodes.map((code) => [String.fromCodePoint(code), '']));
  for (const [code, name] of Object.entries(names)) {
    replacements.set(String.fromCodePoint(Number.parseInt(code, 16)), ` ${name} `);
  }
  const replace = (char: string): string => replacements.get(char) ?? char;
  return (text) => straightenQuotes(text).replace(/[^\0-\x7f]/gu, replace);
}

/** Curly quotes to straight ones, one UTF-16 unit for one: offsets stay true. What the span models read. */
export function straightenQuotes(text: string): string {
  return text.replace(/[\u2018-\u201b]/g, "'").replace(/[\u201c-\u201f]/g, '"');
}
