// stub
import type { BenchOptions } from './options.ts';
export async function measureInt8(_: BenchOptions): Promise<boolean> { return false; }
