// WordPiece for the uncased 30,522-piece vocabulary, id for id what the Python `tokenizers` package gives.
// Our own because it must be exact (the JS package differs on 1 hard text in 3), carry no native binary
// and cost bounded time on long texts; its tables come from models/train/tokenizer.py.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * One text as a model reads it. The arrays are as long as each other: at least 2, at most `tokensMax`.
 * Offsets are the reference's but in [UNK] words with marks out of canonical order, some of which it drops:
 * it counts places after sorting the marks, we point at the characters that stayed (2 of 5,000 hard texts).
 */
export interface Encoding {
  /** [CLS], the pieces, [SEP]; each in 0..vocabularySize - 1. */
  readonly ids: readonly number[];
  /** Where each piece begins in the text, in UTF-16 code units; 0 for [CLS] and [SEP]. */
  readonly starts: readonly number[];
  /** Where each piece ends, exclusive; pieces of one decomposed character (Hangul) share its span. */
  readonly ends: readonly number[];
  /** Whether pieces were left out because `tokensMax` was reached. */
  readonly truncated: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /**
   * Encodes `text`, reading no further than it takes to fill `tokensMax` ids (2 or more, [CLS] and [SEP]
   * included) and to learn that more would follow. `[MASK]` and its like, typed in the text, are that token.
   * Lone surrogates are dropped, as the U+FFFD is that UTF-8 would make of them.
   * @throws RangeError when `tokensMax` is not an integer of at least 2.
   */
  readonly encode: (text: string, tokensMax: number) => Encoding;
  /** Whether the piece goes on with the word of the piece before it. */
  readonly continuesWord: (id: number) => boolean;
}

/** Words kept with their pieces: 8 MB, or 31 MB of the worst words. GoEmotions has 33,000 different ones. */
const CACHED_WORDS_MAX = 16_384;
/** V8 copies slices of up to 12 units; a longer key would keep the whole text it was cut from alive. */
const CACHED_WORD_UNITS_MAX = 12;

/** What a code point is to the words around it: part of one, nothing, a gap, or a word of its own. */
const WORD = 0;
const DROPPED = 1;
const SPACE = 2;
const ALONE = 3;

const rangesSchema = z.array(z.number().int().min(0).max(0x10ffff));
const tablesSchema = z.object({
  word_characters_max: z.number().int().positive(),
  added: z.record(z.string(), z.number().int()),
  removed: rangesSchema,
  marks: rangesSchema,
  spaces: rangesSchema,
  punctuation: rangesSchema,
  cjk: rangesSchema,
  mapped: z.record(z.string().regex(/^[0-9a-f]+$/), z.string()),
});
const manifestSchema = z.object({ files: z.record(z.string(), z.object({ sha256: z.string() })) });

/** A piece and its span inside the word it was cut from. */
interface Piece {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

type PiecesOf = (word: string) => readonly Piece[];

interface Rules {
  /** WORD, DROPPED, SPACE or ALONE by code point. */
  readonly kinds: Uint8Array;
  /** Code points that normalization changes (lower case, accents off), without Hangul. */
  readonly mapped: ReadonlyMap<number, string>;
  /** Tokens matched in the text as it stands, before anything is normalized: '[MASK]' and its like. */
  readonly added: ReadonlyMap<string, number>;
  /** Pieces that begin a word. */
  readonly beginning: ReadonlyMap<string, number>;
  /** Pieces that go on with one, without their '##'. */
  readonly continuing: ReadonlyMap<string, number>;
  readonly pieceUnitsMax: number;
  readonly wordCharactersMax: number;
  readonly unknown: number;
  readonly cls: number;
  readonly sep: number;
}

/**
 * Loads a tokenizer from its folder (vocab.txt, tables.json, manifest.json).
 * @throws Error when a file is missing or differs from the manifest's sha256.
 */
export function loadTokenizer(folder: string): Tokenizer {
  const vocabulary = readVerified(folder, 'vocab.txt').split('\n').slice(0, -1);
  const rules = buildRules(vocabulary, JSON.parse(readVerified(folder, 'tables.json')));
  const piecesOf = cachePieces((word) => wordPieces(rules, word));
  return {
    vocabularySize: vocabulary.length,
    encode: (text, tokensMax) => encode(rules, piecesOf, text, tokensMax),
    continuesWord: (id) => vocabulary[id]?.startsWith('##') ?? false,
  };
}

/**
 * The text of one file of a tokenizer folder.
 * @throws Error when it is missing or its sha256 is not the one in the folder's manifest.json.
 */
export function readVerified(folder: string, name: string): string {
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')));
  const content = readFileSync(join(folder, name));
  const expected = manifest.files[name]?.sha256;
  const found = createHash('sha256').update(content).digest('hex');
  if (found !== expected) {
    throw new Error(`${join(folder, name)}: sha256 is ${found}, the manifest says ${expected ?? 'nothing'}`);
  }
  return content.toString('utf8');
}

function encode(rules: Rules, piecesOf: PiecesOf, text: string, tokensMax: number): Encoding {
  if (!Number.isInteger(tokensMax) || tokensMax < 2) throw new RangeError(`tokensMax is ${tokensMax}`);
  const ids = [rules.cls];
  const starts = [0];
  const ends = [0];
  let truncated = false;
  let at = wordStart(rules, text, 0);
  while (at < text.length && !truncated) {
    const end = wordEnd(rules, text, at);
    const pieces = piecesOf(text.slice(at, end));
    const room = tokensMax - 1 - ids.length;
    truncated = pieces.length > room;
    for (const piece of truncated ? pieces.slice(0, room) : pieces) {
      ids.push(piece.id);
      starts.push(at + piece.start);
      ends.push(at + piece.end);
    }
    at = wordStart(rules, text, end);
  }
  ids.push(rules.sep);
  starts.push(0);
  ends.push(0);
  return { ids, starts, ends, truncated };
}

/** The first character from `at` on that leaves a trace. */
function wordStart(rules: Rules, text: string, at: number): number {
  while (at < text.length) {
    const code = codePoint(text, at);
    const kind = rules.kinds[code];
    if (kind === WORD || kind === ALONE) return at;
    at += width(code);
  }
  return at;
}

/** The end of the last character that leaves a trace in the word that starts at `start`. */
function wordEnd(rules: Rules, text: string, start: number): number {
  const first = codePoint(text, start);
  if (rules.kinds[first] === ALONE) return start + (addedLength(rules, text, start) ?? width(first));
  let end = start;
  for (let at = start; at < text.length; ) {
    const code = codePoint(text, at);
    const kind = rules.kinds[code];
    at += width(code);
    if (kind === WORD) end = at;
    else if (kind !== DROPPED) return end;
  }
  return end;
}

/** Units of the added token at `at`. Each of them opens with '[', a word of its own (asserted by the generator). */
function addedLength(rules: Rules, text: string, at: number): number | undefined {
  if (text[at] !== '[') return undefined;
  for (const token of rules.added.keys()) if (text.startsWith(token, at)) return token.length;
  return undefined;
}

function cachePieces(compute: PiecesOf): PiecesOf {
  const cache = new Map<string, readonly Piece[]>();
  return (word) => {
    if (word.length > CACHED_WORD_UNITS_MAX) return compute(word);
    const cached = cache.get(word);
    if (cached !== undefined) return cached;
    if (cache.size >= CACHED_WORDS_MAX) cache.clear();
    const pieces = compute(word);
    cache.set(word, pieces);
    return pieces;
  };
}

/** The pieces of a word that begins and ends with a character that leaves a trace; at least one. */
function wordPieces(rules: Rules, word: string): Piece[] {
  const added = rules.added.get(word);
  if (added !== undefined) return [{ id: added, start: 0, end: word.length }];
  const normalized = normalizeWord(rules, word);
  const pieces = normalized && longestMatches(rules, normalized);
  return pieces ?? [{ id: rules.unknown, start: 0, end: word.length }];
}

/** A normalized word; for each of its characters, where the one it came from starts and ends in the word. */
interface Normalized {
  text: string;
  readonly starts: number[];
  readonly ends: number[];
}

/** Undefined as soon as the word is sure to be [UNK]: too long, or a character that no piece has. */
function normalizeWord(rules: Rules, word: string): Normalized | undefined {
  const normalized: Normalized = { text: '', starts: [], ends: [] };
  for (let at = 0; at < word.length; ) {
    const code = codePoint(word, at);
    const next = at + width(code);
    for (const char of spelling(rules, code)) {
      if (!rules.beginning.has(char) || normalized.text.length === rules.wordCharactersMax) return undefined;
      normalized.text += char;
      normalized.starts.push(at);
      normalized.ends.push(next);
    }
    at = next;
  }
  return normalized;
}

function spelling(rules: Rules, code: number): string {
  if (rules.kinds[code] === DROPPED) return '';
  if (code >= 0xac00 && code <= 0xd7a3) return String.fromCharCode(code).normalize('NFD');
  return rules.mapped.get(code) ?? String.fromCodePoint(code);
}

/** WordPiece: from the left, the longest piece each time. Undefined when a place has none. */
function longestMatches(rules: Rules, word: Normalized): Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let from = 0; from < word.text.length; ) {
    const vocabulary = from === 0 ? rules.beginning : rules.continuing;
    let to = Math.min(word.text.length, from + rules.pieceUnitsMax);
    let id = vocabulary.get(word.text.slice(from, to));
    while (id === undefined && to > from + 1) id = vocabulary.get(word.text.slice(from, --to));
    if (id === undefined) return undefined;
    pieces.push({ id, start: word.starts[from] ?? 0, end: word.ends[to - 1] ?? 0 });
    from = to;
  }
  return pieces;
}

function buildRules(vocabulary: readonly string[], data: unknown): Rules {
  const tables = tablesSchema.parse(data);
  const added = new Map(Object.entries(tables.added));
  const beginning = new Map<string, number>();
  const continuing = new Map<string, number>();
  for (const [id, piece] of vocabulary.entries()) {
    if (piece.startsWith('##')) continuing.set(piece.slice(2), id);
    else if (!added.has(piece)) beginning.set(piece, id);
  }
  return {
    kinds: kindTable(tables),
    mapped: new Map(Object.entries(tables.mapped).map(([code, text]) => [Number.parseInt(code, 16), text])),
    added,
    beginning,
    continuing,
    pieceUnitsMax: Math.max(...vocabulary.map((piece) => piece.length)),
    wordCharactersMax: tables.word_characters_max,
    unknown: idOf(added, '[UNK]'),
    cls: idOf(added, '[CLS]'),
    sep: idOf(added, '[SEP]'),
  };
}

/** 1.1 MB: one look-up per character beats a search through the ranges. */
function kindTable(tables: z.infer<typeof tablesSchema>): Uint8Array {
  const kinds = new Uint8Array(0x110000);
  const surrogates = [0xd800, 0xdfff];
  const fill = (ranges: readonly number[], kind: number): void => {
    for (let i = 0; i + 1 < ranges.length; i += 2) kinds.fill(kind, ranges[i], (ranges[i + 1] ?? 0) + 1);
  };
  for (const ranges of [tables.removed, tables.marks, surrogates]) fill(ranges, DROPPED);
  for (const ranges of [tables.punctuation, tables.cjk]) fill(ranges, ALONE);
  fill(tables.spaces, SPACE);
  return kinds;
}

function idOf(added: ReadonlyMap<string, number>, token: string): number {
  const id = added.get(token);
  if (id === undefined) throw new Error(`tables.json has no ${token}`);
  return id;
}

function codePoint(text: string, at: number): number {
  return text.codePointAt(at) ?? 0;
}

function width(code: number): number {
  return code > 0xffff ? 2 : 1;
}
