// One terminal for many processes: each line bears the name of the process that wrote it.

/** Writes lines to standard output. */
export interface Output {
  /** A line of the process `label`. */
  readonly line: (label: string, text: string) => void;
  /** A line of the launcher itself. */
  readonly say: (text: string) => void;
}

const launcher = 'soma';
/** Cyan, yellow, green, magenta, blue, and the bright ones; red is left to errors. */
const colours = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94] as const;

/** @param colour whether names are coloured, by the kind of process. */
export function createOutput(
  labels: readonly string[],
  colour: boolean,
  write: (text: string) => void,
): Output {
  const width = Math.max(launcher.length, ...labels.map((label) => label.length));
  const kinds = [...new Set([launcher, ...labels].map(kindOf))];
  const paint = (label: string): string => {
    const name = `${label.padEnd(width)} |`;
    const code = colours[kinds.indexOf(kindOf(label)) % colours.length];
    return colour ? `\u001b[${code}m${name}\u001b[0m` : name;
  };
  const line = (label: string, text: string): void => write(`${paint(label)} ${text}\n`);
  return {
    line,
    say: (text) => {
      for (const part of text.split('\n')) line(launcher, part);
    },
  };
}

function kindOf(label: string): string {
  return label.replace(/\.\d+$/, '');
}
