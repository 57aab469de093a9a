// The figures that a fault run holds, in the words that they have in common.

import type { Figure } from '../report.ts';

export function exactly(name: string, value: number, bound: number): readonly Figure[] {
  return [
    { name, value, bound, holds: 'at least' },
    { name, value, bound, holds: 'at most' },
  ];
}

export function none(name: string, value: number): Figure {
  return { name, value, bound: 0, holds: 'at most' };
}

export function atLeast(name: string, value: number, bound: number): Figure {
  return { name, value, bound, holds: 'at least' };
}

export function atMost(name: string, value: number, bound: number): Figure {
  return { name, value, bound, holds: 'at most' };
}
