// The parts of the benchmark in the order in which they run, and what each is about.

export const partNames = {
  throughput: 'jobs of 1 and of 16 texts against the bare model on the same cores',
  latency: 'submit to result at constant rates',
  fairness: 'one job behind the 100,000 items of another tenant, and what that costs the other',
  waiters: '500 long-polls: from the commit to the answer, and what waiting asks of the database',
  cancel: '1,000 cancels that race completion, and 1,000 behind a backlog',
  priority: 'a flood of high with and without low: what low gets, what high waits',
  deadlines: 'three times the capacity with deadlines of 2 s, beside the same without',
  overload: 'how fast a full system refuses, and whether those who come back in time are let in',
  eta: 'foretold ends against real ones in five shapes of load, and what foretelling costs',
  'webhook-proofs': 'receivers that fail, private targets and signatures: what is promised of each',
  webhooks: 'deliveries a second, and healthy endpoints beside a dead one',
  batch: '100,000 lines streamed in and out, kills in between, and what a batch costs beside the bare model',
  'batch-proofs': 'bad lines by line and pointer, and the openai SDK: what is promised of each',
  backfill: 'live requests with and without a backfill beside them',
  mix: 'the five personas: the highest share of 1,000 users within the goal, unique and repeated texts',
  cache: 'a known text beside a new one, equal texts in flight, and what tenants can tell of each other',
  connections: '1,000 connections at 600 submits a second while a backlog keeps the workers busy',
  padding: 'padded to real tokens with a backlog',
  loop: 'the longest event-loop gap of each process under load',
  scaling: 'one pinned worker against two on a preloaded backlog',
  'queue-cpu': 'CPU of BullMQ and Redis against that of the model',
  int8: 'the served graphs against the same graphs in 32-bit floats',
  capacity: 'the highest rate within the goals, the curve to the knee, the cost of a million texts',
  steady: 'all users at once',
  step: 'users added step by step',
  spike: 'ten times the users, twice',
  soak: 'half of the users for as long as is asked; memory at the end against the beginning',
  peak: 'users who hardly wait between two texts',
  intake: 'group commit against one INSERT and one add per request',
} as const;

export type PartName = keyof typeof partNames;

/** Shapes run only when they are named: they show how the system goes through them, and hold few figures. */
export const onDemand: readonly PartName[] = ['steady', 'step', 'spike', 'soak', 'peak'];

export function isPartName(name: string): name is PartName {
  return name in partNames;
}
