-- What a person's trajectory and profile are computed from, beside the whole output: reading it out of the JSON of a
-- thousand analyses took most of the time of a history. NULL in analyses that were stored before, of other kinds, and
-- of nobody in particular.

ALTER TABLE analyses
  ADD COLUMN valence float8,
  ADD COLUMN arousal float8,
  ADD COLUMN intensity float8,
  ADD COLUMN primary_emotion text;
