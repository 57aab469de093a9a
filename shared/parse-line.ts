// From a raw line of a batch to its fields, or to all that is wrong with it.

import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { batchLimits, type BatchLine, batchLineSchema, type LineFault } from './batch.ts';
import { findTrap, placeOf, toFaults } from './faults.ts';
import type { RawLine } from './line-reader.ts';

/** A line that can run, or one that cannot; of the latter the label is kept if it has a sound one. */
export type ParsedLine =
  | { readonly number: number; readonly line: BatchLine; readonly faults?: never }
  | { readonly number: number; readonly customId: string | null; readonly faults: readonly LineFault[] };

/** What makes a line of a value: our own form, or that of a dialect. */
type LineSchema = z.ZodType<BatchLine>;

/** @param number the place of the line in its stream, counted from 1 */
export function parseRawLine(raw: RawLine, number: number, schema: LineSchema = batchLineSchema): ParsedLine {
  if (raw.tooLong) {
    const kib = batchLimits.lineBytesMax / 1024;
    return broken(number, 'line_too_long', `Has more than ${kib} KiB`);
  }
  if (!isUtf8(raw.bytes)) return broken(number, 'invalid_encoding', 'Has bytes that are not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(raw.bytes.toString('utf8'));
  } catch (error) {
    return broken(number, 'malformed_json', `Is not JSON${placeOf(error)}`);
  }
  return parseLineValue(value, number, schema);
}

/** @param value what a client calls a line, with nothing known of it */
export function parseLineValue(
  value: unknown,
  number: number,
  schema: LineSchema = batchLineSchema,
): ParsedLine {
  const trap = findTrap(value);
  if (trap !== undefined) return { number, customId: null, faults: [{ ...trap, line: number }] };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { number, line: parsed.data };
  const faults = parsed.error.issues.flatMap((issue) => toFaults(issue));
  return {
    number,
    customId: findCustomId(value),
    faults: faults.map((fault) => ({ ...fault, line: number })),
  };
}

function broken(number: number, code: string, detail: string): ParsedLine {
  return { number, customId: null, faults: [{ line: number, pointer: '', code, detail }] };
}

function findCustomId(value: unknown): string | null {
  const found = batchLineSchema.shape.custom_id.safeParse(
    typeof value === 'object' && value !== null && 'custom_id' in value ? value.custom_id : undefined,
  );
  return found.success ? found.data : null;
}
