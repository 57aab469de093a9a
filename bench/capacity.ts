// stub
import type { BenchOptions } from './options.ts';
export async function measureCapacity(_: BenchOptions): Promise<boolean> { return false; }
