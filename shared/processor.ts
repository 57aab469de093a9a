// What the processor can multiply 8-bit numbers with, which decides how fast and how exact INT8 models run on it.

import { readFileSync } from 'node:fs';

/** The Linux kernel's names of instruction sets that add products of 8-bit numbers in 32 bits, the fastest first. */
const exact = ['amx_int8', 'avx512_vnni', 'avx_vnni', 'asimddp'];

/** Those that add them in 16 bits. */
const saturating = ['avx512bw', 'avx2'];

/** What the first processor can do, as /proc/cpuinfo lists it; empty on a system that has no such file. */
export function readProcessorFlags(): readonly string[] {
  try {
    return parseProcessorFlags(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return [];
  }
}

/** @param info the text of /proc/cpuinfo, in which x86 has `flags` and ARM `Features` */
export function parseProcessorFlags(info: string): readonly string[] {
  return /^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1]?.trim().split(/\s+/) ?? [];
}

/** The fastest instruction set for INT8, by the kernel's name; `none` if it lists none. */
export function describeInt8(flags: readonly string[]): string {
  return [...exact, ...saturating].find((flag) => flags.includes(flag)) ?? 'none';
}

/**
 * Whether sums of unsigned by signed 8-bit products may saturate in 16 bits, and scores differ from those of other
 * processors: true too where nothing is known of the processor.
 */
export function sumsMaySaturate(flags: readonly string[]): boolean {
  return !exact.includes(describeInt8(flags));
}
