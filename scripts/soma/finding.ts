// What one check of `soma doctor` found.

/** `remedy` says what to type or change; every `warn` and `fail` has one. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail' | 'skip';
  readonly detail: string;
  readonly remedy?: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, state: 'ok', detail });
export const skip = (check: string, detail: string): Finding => ({ check, state: 'skip', detail });
export const warn = (check: string, detail: string, remedy: string): Finding => ({
  check,
  state: 'warn',
  detail,
  remedy,
});
export const fail = (check: string, detail: string, remedy: string): Finding => ({
  check,
  state: 'fail',
  detail,
  remedy,
});
