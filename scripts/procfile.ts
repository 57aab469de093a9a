// The Procfile, the one list of Soma's processes: its lines, how many of each run, and the exact command of every one.
// Pure, so that a wrong formation is found before anything starts.

/** One line of the Procfile; commands are words without quotes, since no shell runs them. */
export interface ProcfileLine {
  readonly name: string;
  readonly command: readonly string[];
}

/** One process to run. */
export interface PlannedProcess {
  /** `analysis.2`, counted from 1. */
  readonly label: string;
  readonly name: string;
  readonly command: readonly string[];
  /** How it is placed on the machine, in words; empty when it is left to the system. */
  readonly placement: string;
}

/**
 * Reads `name: command` lines; empty lines and `#` comments are skipped.
 * @throws Error naming the line that is not one.
 */
export function parseProcfile(text: string): readonly ProcfileLine[] {
  const lines: ProcfileLine[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, name, command] = /^([a-z][a-z0-9-]*):\s*([^'"]+)$/.exec(line.trim()) ?? [];
    if (name === undefined || command === undefined) {
      throw new Error(`Procfile line ${index + 1} is not "name: command" without quotes: ${line}`);
    }
    if (lines.some((other) => other.name === name))
      throw new Error(`Procfile line ${index + 1} repeats ${name}`);
    lines.push({ name, command: command.trim().split(/\s+/) });
  }
  return lines;
}

/**
 * Reads `api=1,analysis=2` into counts by name.
 * @throws Error naming the part that is wrong, and the names that exist.
 */
export function parseFormation(text: string, names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const part of text.split(',').filter((piece) => piece.trim() !== '')) {
    const [, name = '', count] = /^\s*([a-z0-9-]+)\s*=\s*(\d{1,3})\s*$/.exec(part) ?? [];
    if (count === undefined || !names.includes(name)) {
      throw new Error(
        `--formation: "${part}" is not <name>=<count> with a name of the Procfile (${names.join(', ')})`,
      );
    }
    counts.set(name, Number(count));
  }
  return counts;
}

/** The processes that compute, and so get a core each. */
const computing: readonly string[] = ['analysis'];

/**
 * Lays out every process to run, in Procfile order; `counts` holds how many of each, 1 where it says nothing.
 * @param cores to pin the computing ones to, in turn; empty when they are not to be pinned
 */
export function planProcesses(
  lines: readonly ProcfileLine[],
  counts: ReadonlyMap<string, number>,
  cores: readonly number[],
): readonly PlannedProcess[] {
  return lines.flatMap(({ name, command }) =>
    Array.from({ length: counts.get(name) ?? 1 }, (_, index) => {
      const core = computing.includes(name) ? cores[index % cores.length] : undefined;
      return {
        label: `${name}.${index + 1}`,
        name,
        command: core === undefined ? command : ['taskset', '-c', String(core), ...command],
        placement: core === undefined ? '' : `core ${core}`,
      };
    }),
  );
}
