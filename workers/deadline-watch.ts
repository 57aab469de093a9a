// Jobs in hand that have a deadline: each is let go at the last moment at which its result could still be stored.

/** Deadlines further away than this are not waited for: no pool takes so long. */
const deadlineMsMax = 600_000;

export interface DeadlineWatch {
  readonly watch: (job: { readonly id: string; readonly deadlineAt: Date | null }) => void;
  /** Stops watching a job. @returns whether its deadline had come */
  readonly forget: (id: string) => boolean;
}

/**
 * @param options.storeMs what storing a result takes, which must fit in before the deadline
 * @param options.drop called once for a job whose time has come
 */
export function createDeadlineWatch(options: {
  readonly storeMs: number;
  readonly drop: (id: string) => void;
}): DeadlineWatch {
  const timers = new Map<string, NodeJS.Timeout>();
  const late = new Set<string>();
  return {
    watch: ({ id, deadlineAt }) => {
      if (deadlineAt === null) return;
      const leftMs = deadlineAt.getTime() - Date.now() - options.storeMs;
      if (leftMs > deadlineMsMax) return;
      const letGo = (): void => {
        late.add(id);
        options.drop(id);
      };
      timers.set(id, setTimeout(letGo, leftMs));
    },
    forget: (id) => {
      clearTimeout(timers.get(id));
      timers.delete(id);
      return late.delete(id);
    },
  };
}
