// From a stream of bytes to its lines, each bounded, however the stream is cut into chunks.

/** A line as it came, without its end. Of one that is too long only the beginning is here. */
export interface RawLine {
  readonly bytes: Buffer;
  readonly tooLong: boolean;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

export interface LineReader {
  /** The lines that `chunk` completes. They may share its memory. */
  readonly push: (chunk: Buffer) => RawLine[];
  /** The last line, where the stream does not end with a line feed. */
  readonly end: () => RawLine[];
}

/** Lines end with LF or CRLF; a byte order mark at the start of the stream is dropped. Holds one line at the most. */
export function createLineReader(lineBytesMax: number): LineReader {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let tooLong = false;
  let first = true;

  const hold = (piece: Buffer): void => {
    const kept = piece.subarray(0, Math.max(0, lineBytesMax - heldBytes));
    if (kept.length < piece.length) tooLong = true;
    if (kept.length === 0) return;
    held.push(kept);
    heldBytes += kept.length;
  };

  const take = (): RawLine => {
    const [only] = held;
    let bytes = held.length === 1 && only !== undefined ? only : Buffer.concat(held);
    if (first && bytes.subarray(0, 3).equals(byteOrderMark)) bytes = bytes.subarray(3);
    if (!tooLong && bytes.at(-1) === carriageReturn) bytes = bytes.subarray(0, -1);
    const line = { bytes, tooLong };
    held = [];
    heldBytes = 0;
    tooLong = false;
    first = false;
    return line;
  };

  return {
    push: (chunk) => {
      const lines: RawLine[] = [];
      let from = 0;
      for (let to = chunk.indexOf(lineFeed); to !== -1; to = chunk.indexOf(lineFeed, from)) {
        hold(chunk.subarray(from, to));
        lines.push(take());
        from = to + 1;
      }
      // What is held must not keep the whole chunk in memory.
      if (from < chunk.length) hold(Buffer.from(chunk.subarray(from)));
      return lines;
    },
    end: () => (heldBytes > 0 || tooLong ? [take()] : []),
  };
}

/** Nothing but white space: such lines are passed over. */
export function isBlank({ bytes, tooLong }: RawLine): boolean {
  return !tooLong && bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === carriageReturn);
}
