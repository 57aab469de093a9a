// Kind `profile`: what the stored analyses say of a person, taken together. It has no model of its own.

import { z } from 'zod';
import { profileSchema } from './analytics/profile.ts';
import type { Kind } from './analyzer.ts';

/** The former system allowed 7, 14 and 30 days; any window of up to a year serves. */
export const profileOptionsSchema = z.strictObject({
  include_emotions: z.boolean().default(true),
  include_reasoning: z.boolean().default(true),
  include_knowledge_graph: z.boolean().default(true),
  time_window_days: z.int().min(1).max(365).default(30),
});

export const profile: Kind = {
  kind: 'profile',
  input: 'person',
  summary:
    "A person's emotions over time, ways of reasoning and knowledge graph, from their stored analyses.",
  optionsSchema: profileOptionsSchema,
  outputSchema: profileSchema.extend({ version: z.int() }),
};

/** Changes when the same analyses would give another profile. */
export const profileVersion = '1';
