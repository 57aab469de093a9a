// A lock that many may share and one may have alone, in the order in which they ask.

export interface SharedLock {
  readonly share: <T>(work: () => Promise<T>) => Promise<T>;
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>;
}

export function createSharedLock(): SharedLock {
  let turn: Promise<unknown> = Promise.resolve();
  let sharing: Promise<unknown> = Promise.resolve();

  const share = async <T>(work: () => Promise<T>): Promise<T> => {
    const started = turn.then(() => ({ result: work() }));
    sharing = Promise.allSettled([sharing, started.then(({ result }) => result)]).then(() => undefined);
    return (await started).result;
  };

  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = Promise.allSettled([turn, sharing]);
    const result = before.then(work);
    turn = result.catch(() => undefined);
    return result;
  };

  return { share, alone };
}
