// What the API takes and answers, made from its OpenAPI document by `npm run generate:client`: do not edit. A test in
// api/ holds that it is up to date.

export type WebhookMessage = {
  readonly type: 'job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test';
  /** When it happened */
  readonly timestamp: string;
  /** Counts the events of one job or batch, as its event stream does; of a profile it is the version. A message with a lower one than you have seen for the same `data.id` is late, not new */
  readonly sequence: number;
  readonly data: {
    readonly id: string;
    readonly object: 'job';
    readonly status: string;
    readonly deleted?: true;
    readonly kind?: string;
    readonly status_reason?: string | null;
    readonly user_id?: string | null;
    readonly custom_id?: string | null;
    readonly metadata?: Readonly<Record<string, string>>;
    readonly tags?: readonly string[];
    readonly model?: {
      readonly name: string;
      readonly version: string;
      readonly digest: string;
    };
    readonly created_at?: string;
    readonly started_at?: string | null;
    readonly ended_at?: string | null;
    readonly counts?: {
      readonly total: number;
      readonly succeeded: number;
      readonly failed: number;
    };
    readonly error?: {
      readonly code: string;
      readonly detail: string;
    } | null;
    /** With `include_result`, if it has at most 128 kB */
    readonly result?: {
      readonly items: readonly {
        readonly index: number;
        readonly status: 'succeeded' | 'failed';
        readonly output?: unknown;
        readonly error?: {
          readonly code: string;
          readonly detail: string;
        };
      }[];
    };
    readonly result_omitted?: 'too_large';
    readonly links?: {
      readonly self: string;
      readonly result: string;
    };
  } | {
    readonly id: string;
    readonly object: 'batch';
    readonly status: 'validating' | 'in_progress' | 'canceling' | 'ended';
    readonly deleted?: true;
    readonly kind?: string;
    readonly end_reason?: 'completed' | 'canceled' | 'expired' | 'invalid' | 'error' | null;
    readonly model?: {
      readonly name: string;
      readonly version: string;
      readonly digest: string;
    };
    readonly metadata?: Readonly<Record<string, string>>;
    readonly input_file_id?: string | null;
    readonly created_at?: string;
    readonly ended_at?: string | null;
    /** Of lines, at that moment */
    readonly counts?: {
      readonly total: number;
      readonly succeeded: number;
      readonly failed: number;
      readonly canceled: number;
      readonly expired: number;
    };
    readonly error?: {
      readonly code: string;
      readonly detail: string;
    } | null;
    readonly links?: {
      readonly self: string;
      readonly results: string;
    };
  } | {
    readonly object: 'profile';
    readonly job_id: string;
    readonly deleted?: true;
    readonly user_id?: string;
    readonly version: number;
    readonly links?: {
      readonly self: string;
    };
  } | Readonly<Record<string, unknown>>;
};

export type Job = {
  /** job_ and a UUIDv7 */
  readonly id: string;
  readonly object: 'job';
  readonly kind: string;
  readonly status: 'scheduled' | 'queued' | 'processing' | 'canceling' | 'succeeded' | 'failed' | 'canceled' | 'expired';
  readonly status_reason: string | null;
  readonly user_id: string | null;
  readonly custom_id: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly model: {
    readonly name: string;
    readonly version: string;
    /** sha256 of the weights */
    readonly digest: string;
  };
  readonly priority: 'high' | 'normal' | 'low';
  readonly created_at: string;
  readonly queued_at: string | null;
  /** Of the first attempt */
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly not_before: string | null;
  readonly deadline_at: string | null;
  /** When job and result are deleted */
  readonly expires_at: string;
  readonly retry_of: string | null;
  /** The batch that it is a part of */
  readonly batch_id: string | null;
  readonly attempts: readonly {
    readonly number: number;
    readonly started_at: string;
    readonly ended_at?: string;
    readonly worker: string;
    readonly outcome?: string;
    readonly error?: {
      readonly code: string;
      readonly detail: string;
    };
    /** Waited since the attempt before, and in the hands of the worker */
    readonly timing_ms?: {
      readonly queue: number;
      readonly run: number;
      readonly total: number;
    };
  }[];
  readonly counts: {
    readonly total: number;
    readonly succeeded: number;
    readonly failed: number;
  };
  /** Only while the job is queued */
  readonly queue: {
    /** About how many jobs of the tenant and priority go before it, and itself */
    readonly position: number;
    /** It has ended by then as likely as not; null while no worker is there */
    readonly eta_p50_at: string | null;
    /** It has ended by then in nine of ten cases */
    readonly eta_p90_at: string | null;
  } | null;
  /** Null until the job has ended */
  readonly timing_ms: {
    /** Waiting, backing off, and the attempts before the last */
    readonly queue: number;
    readonly batch_wait: number;
    readonly tokenize: number;
    readonly inference: number;
    readonly persist: number;
    /** ended_at - created_at: the sum of the others */
    readonly total: number;
  } | null;
  readonly execution: {
    readonly attempt: number;
    readonly worker: string;
    readonly device: string;
    readonly pool_items: number;
    readonly micro_batch_items: number;
    readonly micro_batch_tokens: number;
    /** Padded tokens to real tokens in the pool */
    readonly padding_ratio: number;
    readonly flush_reason: 'full' | 'tokens' | 'goal' | 'idle' | 'timeout' | 'turn' | 'drain';
    /** Whether results were known from equal texts: all, none, some; none where nothing is kept */
    readonly cache: 'hit' | 'miss' | 'mixed' | 'none';
  } | null;
  readonly error: {
    readonly code: string;
    readonly detail: string;
  } | null;
  readonly result: {
    /** In the order of the texts */
    readonly items: readonly {
      readonly index: number;
      readonly status: 'succeeded' | 'failed';
      readonly output?: EmotionOutput | ReasoningOutput | EmbeddingOutput | ProfileOutput;
      readonly error?: {
        readonly code: string;
        readonly detail: string;
      };
    }[];
  } | null;
  readonly links: {
    readonly self: string;
    readonly result: string;
    readonly events: string;
    readonly cancel: string;
  };
};

export type EmotionOutput = {
  /** Labels whose score reaches the threshold, highest first; the primary emotion if none does */
  readonly emotions: readonly {
    readonly label: string;
    readonly score: number;
  }[];
  /** The label with the highest score */
  readonly primary_emotion: string;
  /** The model's sigmoid for the primary emotion, 0..1 */
  readonly primary_score: number;
  /** All 28 labels with their sigmoids, 0..1; absent with include_all false */
  readonly all_emotions?: Readonly<Record<string, number>>;
  /** Calibrated probability that the primary emotion is right, 0..1 */
  readonly confidence: number;
  /** How strongly the text puts its emotion, 0..1: the highest score but neutral, raised by marks of emphasis */
  readonly intensity: number;
  /** How pleasant, -1..1: mean of the ratings of the words of `emotions` (Warriner et al. 2013), by score */
  readonly valence: number;
  /** How excited, 0 (calm) to 1: from the same ratings */
  readonly arousal: number;
  /** Valence and arousal as a weighted mean of the text (1), the context messages (1/2 for the newest, then halved) and the baseline (1/4); null if neither was given. `weights` are the shares of the three */
  readonly adjusted: {
    readonly valence: number;
    readonly arousal: number;
    readonly method: 'weighted_mean';
    readonly weights: {
      readonly text: number;
      readonly context: number;
      readonly baseline: number;
    };
  } | null;
  /** The text less the baseline; null without one */
  readonly deviation: {
    readonly valence: number;
    readonly arousal: number;
  } | null;
  /** Null if that cannot be said; see `sarcasm` and, for how often it is right, the model card */
  readonly is_sarcastic: boolean | null;
  /** The sarcasm head's sigmoid and the calibrated probability that the text is sarcastic, 0..1, and why is_sarcastic is null. It changes no other figure */
  readonly sarcasm: {
    readonly score: number | null;
    readonly probability: number | null;
    readonly reason: string | null;
  };
  /** Pairs of a positive and a negative emotion at once, clearest first; the stronger one leads */
  readonly mixed_emotions: readonly {
    readonly labels: readonly [string, string];
    readonly scores: readonly [number, number];
  }[];
  /** With granularity sentence, in order; fields as for the text */
  readonly sentences?: readonly {
    readonly text: string;
    /** Where the sentence starts in the text as it was sent, in UTF-16 code units */
    readonly start: number;
    /** Where it ends, exclusive */
    readonly end: number;
    /** As for the text */
    readonly emotions: readonly {
      readonly label: string;
      readonly score: number;
    }[];
    readonly primary_emotion: string;
    readonly primary_score: number;
    readonly confidence: number;
    readonly intensity: number;
    readonly valence: number;
    readonly arousal: number;
    readonly tokens: number;
    /** True if the sentence is longer than the model reads */
    readonly truncated: boolean;
  }[];
  /** BCP 47 tag that the text looks like, "und" if that does not tell */
  readonly language: string;
  /** What limits this answer: language_not_english, document_averaged, context_truncated */
  readonly warnings: readonly {
    readonly code: string;
    readonly detail: string;
  }[];
  /** Tokens of the text that the model read, without the context messages */
  readonly tokens: number;
  /** True if a part of the text was not read */
  readonly truncated: boolean;
};

export type ReasoningOutput = {
  /** True if any sentence states a causal relation */
  readonly causal: boolean;
  /** Of `causal`: calibrated, of the sentence that is surest */
  readonly confidence: number;
  readonly causal_chains: readonly {
    /** A part of the text as it was sent; start and end in UTF-16 code units */
    readonly cause: {
      readonly text: string;
      readonly start: number;
      readonly end: number;
    };
    /** A part of the text as it was sent; start and end in UTF-16 code units */
    readonly effect: {
      readonly text: string;
      readonly start: number;
      readonly end: number;
    };
    /** The connective, if there is one */
    readonly signal: {
      readonly text: string;
      readonly start: number;
      readonly end: number;
    } | null;
    readonly relation: 'causal' | 'conditional' | 'purpose';
    /** By cue words of the sentence */
    readonly chain_type: 'causal' | 'deductive' | 'inductive' | 'analogical' | 'abductive';
    /** Whether a connective that tells the direction agreed with the model, overruled it, or was absent */
    readonly direction: 'confirmed' | 'corrected' | 'unchecked';
    /** How clearly the words are marked: mean probability of the tags of both spans */
    readonly strength: number;
    /** Calibrated probability that the sentence states a causal relation */
    readonly confidence: number;
    readonly sentence: number;
  }[];
  /** Pairs of causal_chains: the effect of the first is the cause of the second */
  readonly links: readonly {
    readonly from: number;
    readonly to: number;
  }[];
  readonly counterfactuals: readonly {
    /** A part of the text as it was sent; start and end in UTF-16 code units */
    readonly antecedent: {
      readonly text: string;
      readonly start: number;
      readonly end: number;
    };
    /** A part of the text as it was sent; start and end in UTF-16 code units */
    readonly consequent: {
      readonly text: string;
      readonly start: number;
      readonly end: number;
    } | null;
    /** Calibrated probability that the sentence is counterfactual */
    readonly confidence: number;
    readonly sentence: number;
  }[];
  readonly reasoning_graph: {
    readonly nodes: readonly {
      readonly id: string;
      readonly label: string;
    }[];
    readonly edges: readonly {
      readonly source: string;
      readonly target: string;
      readonly relation: 'causal' | 'conditional' | 'purpose';
      readonly strength: number;
    }[];
  };
  /** BCP 47 tag that the text looks like, "und" if that does not tell */
  readonly language: string;
  readonly warnings: readonly {
    readonly code: string;
    readonly detail: string;
  }[];
  readonly sentences: number;
  readonly tokens: number;
  /** True if a sentence is longer than the model reads */
  readonly truncated: boolean;
};

export type EmbeddingOutput = {
  /** Length 1, so that the dot product is the cosine */
  readonly embedding: readonly number[];
  /** Tokens that the model read */
  readonly tokens: number;
  /** True if the text is longer than the model reads */
  readonly truncated: boolean;
};

export type ProfileOutput = {
  /** Null if left out by include_emotions */
  readonly emotions: {
    /** The analyses in order of time */
    readonly trajectory: readonly {
      readonly timestamp: string;
      readonly valence: number;
      readonly arousal: number;
      readonly primary_emotion: string;
      readonly intensity: number;
    }[];
    /** Mean valence, -1..1; null for no analyses */
    readonly baseline_valence: number | null;
    /** Sample standard deviation of valence; null for fewer than two */
    readonly valence_std: number | null;
    /** Mean arousal, 0..1 */
    readonly baseline_arousal: number | null;
    readonly arousal_std: number | null;
    /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
    readonly trend: 'improving' | 'declining' | 'stable' | null;
    /** Valence per day, by least squares over the real times; null as trend */
    readonly trend_slope: number | null;
    /** Its 95 % confidence interval */
    readonly trend_slope_interval: readonly number[] | null;
    /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
    readonly volatility: number | null;
    /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
    readonly dominant_emotions: readonly {
      readonly emotion: string;
      readonly count: number;
      readonly percentage: number;
    }[];
    readonly data_points: number;
    /** Days (UTC) with at least one analysis */
    readonly days_analyzed: number;
  } | null;
  /** Null if left out by include_reasoning */
  readonly reasoning: {
    /** Chains by chain_type */
    readonly types: Readonly<Record<string, number>>;
    /** Chains by relation */
    readonly relations: Readonly<Record<string, number>>;
    /** By the sum over the evidence of strength times confidence; causes and effects are compared as concepts */
    readonly strongest_chains: readonly {
      readonly cause: string;
      readonly effect: string;
      /** Chains with this cause and effect */
      readonly evidence_count: number;
      /** Mean strength of them, 0..1 */
      readonly strength: number;
      /** Mean confidence of them, 0..1 */
      readonly confidence: number;
    }[];
    /** The most frequent chain_type; null without chains or if two are equally frequent */
    readonly preferred_style: string | null;
    readonly total_chains: number;
    readonly counterfactuals: number;
  } | null;
  /** Of all that is known, not of the window; null if left out by include_knowledge_graph */
  readonly knowledge_graph: {
    readonly stats: {
      readonly nodes: number;
      readonly edges: number;
      readonly nodes_by_type: Readonly<Record<string, number>>;
      readonly edges_by_type: Readonly<Record<string, number>>;
    };
    readonly top_concepts: readonly {
      readonly key: string;
      readonly name: string;
      readonly degree: number;
    }[];
    readonly communities: readonly {
      readonly label: string;
      readonly nodes: readonly string[];
    }[];
    /** Of the division into communities, -0.5..1; null if there is none */
    readonly modularity: number | null;
  } | null;
  /** Analyses from `from` to before `to` were read */
  readonly window: {
    readonly from: string;
    readonly to: string;
  };
  readonly coverage: {
    readonly emotion_analyses: number;
    readonly reasoning_analyses: number;
    /** Days (UTC) with at least one analysis of those read */
    readonly days: number;
    readonly first_at: string | null;
    readonly last_at: string | null;
  };
  /** By kind, the versions that made the analyses read */
  readonly model_versions: Readonly<Record<string, readonly string[]>>;
  readonly generated_at: string;
  readonly version: number;
};

export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: 'malformed_request' | 'malformed_json' | 'invalid_encoding' | 'invalid_header' | 'unauthenticated' | 'invalid_key' | 'insufficient_scope' | 'not_found' | 'profile_not_found' | 'job_not_found' | 'webhook_endpoint_not_found' | 'delivery_not_found' | 'endpoint_limit_reached' | 'endpoint_disabled' | 'delivery_pending' | 'batch_not_found' | 'file_not_found' | 'erasure_not_found' | 'job_failed' | 'job_not_finished' | 'job_already_finished' | 'batch_already_ended' | 'batch_superseded' | 'input_not_stored' | 'result_expired' | 'method_not_allowed' | 'not_acceptable' | 'payload_too_large' | 'unsupported_media_type' | 'unsupported_encoding' | 'invalid_request' | 'invalid_lines' | 'idempotency_key_reused' | 'rate_limited' | 'quota_exceeded' | 'internal_error' | 'ledger_unavailable' | 'deadline_unmeetable' | 'webhooks_unavailable' | 'overloaded';
  readonly request_id: string;
  /** The same request may succeed later */
  readonly retryable: boolean;
  readonly errors?: readonly {
    /** Of a batch, counted from 1 */
    readonly line?: number;
    /** JSON pointer */
    readonly pointer: string;
    readonly code: string;
    readonly detail: string;
  }[];
  /** With `invalid_lines`: how many lines are bad; `errors` has the first 1,000 */
  readonly invalid_lines?: number;
  /** With `job_failed`: what the job failed with */
  readonly error?: {
    readonly code: string;
    readonly detail: string;
  };
};

export type JobRequest = EmotionRequest | ReasoningRequest | EmbeddingRequest | ProfileRequest;

export type EmotionRequest = {
  readonly kind: 'emotion';
  /** Whose texts these are */
  readonly user_id?: string;
  /** Your own label */
  readonly custom_id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly model?: 'emotion' | 'emotion@stable' | 'emotion@2026.11.2';
  readonly priority?: 'high' | 'normal' | 'low';
  /** Runs no earlier than this */
  readonly not_before?: string;
  /** Expires instead of running if its result cannot be there by then */
  readonly deadline_at?: string;
  readonly options?: {
    /** With sentence, each sentence is read by itself too, and long texts are read whole */
    readonly granularity?: 'document' | 'sentence';
    /** Whether all_emotions is in the output */
    readonly include_all?: boolean;
    /** What was said before each text, oldest first; read by the same model for `adjusted` */
    readonly context_messages?: readonly string[];
    /** The person's usual state, for `adjusted` and `deviation` */
    readonly baseline?: {
      readonly valence: number;
      readonly arousal: number;
    };
  };
  /** Where this job's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`) */
  readonly webhook?: {
    /** https only, of a public server */
    readonly url: string;
    /** Events, or families like `job.*`, or `*` */
    readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
    /** Puts the result of a job into its message, if it has at most 128 kB */
    readonly include_result?: boolean;
  };
  /** With false the texts are erased when the job ends */
  readonly store_input?: boolean;
  readonly retention_seconds?: number;
  readonly input: {
    readonly text?: string;
    /** 1 to 100 texts; results keep their order */
    readonly texts?: readonly string[];
  };
};

export type ReasoningRequest = {
  readonly kind: 'reasoning';
  /** Whose texts these are */
  readonly user_id?: string;
  /** Your own label */
  readonly custom_id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly model?: 'reasoning' | 'reasoning@stable' | 'reasoning@2026.11.2';
  readonly priority?: 'high' | 'normal' | 'low';
  /** Runs no earlier than this */
  readonly not_before?: string;
  /** Expires instead of running if its result cannot be there by then */
  readonly deadline_at?: string;
  readonly options?: {
    readonly extract_causal?: boolean;
    readonly extract_counterfactual?: boolean;
  };
  /** Where this job's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`) */
  readonly webhook?: {
    /** https only, of a public server */
    readonly url: string;
    /** Events, or families like `job.*`, or `*` */
    readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
    /** Puts the result of a job into its message, if it has at most 128 kB */
    readonly include_result?: boolean;
  };
  /** With false the texts are erased when the job ends */
  readonly store_input?: boolean;
  readonly retention_seconds?: number;
  readonly input: {
    readonly text?: string;
    /** 1 to 100 texts; results keep their order */
    readonly texts?: readonly string[];
  };
};

export type EmbeddingRequest = {
  readonly kind: 'embedding';
  /** Whose texts these are */
  readonly user_id?: string;
  /** Your own label */
  readonly custom_id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly model?: 'embedding' | 'embedding@stable' | 'embedding@2026.11.1';
  readonly priority?: 'high' | 'normal' | 'low';
  /** Runs no earlier than this */
  readonly not_before?: string;
  /** Expires instead of running if its result cannot be there by then */
  readonly deadline_at?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Where this job's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`) */
  readonly webhook?: {
    /** https only, of a public server */
    readonly url: string;
    /** Events, or families like `job.*`, or `*` */
    readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
    /** Puts the result of a job into its message, if it has at most 128 kB */
    readonly include_result?: boolean;
  };
  /** With false the texts are erased when the job ends */
  readonly store_input?: boolean;
  readonly retention_seconds?: number;
  readonly input: {
    readonly text?: string;
    /** 1 to 100 texts; results keep their order */
    readonly texts?: readonly string[];
  };
};

export type ProfileRequest = {
  readonly kind: 'profile';
  readonly user_id: string;
  /** Your own label */
  readonly custom_id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly model?: 'profile' | 'profile@stable' | 'profile@1';
  readonly priority?: 'high' | 'normal' | 'low';
  /** Runs no earlier than this */
  readonly not_before?: string;
  /** Expires instead of running if its result cannot be there by then */
  readonly deadline_at?: string;
  readonly options?: {
    readonly include_emotions?: boolean;
    readonly include_reasoning?: boolean;
    readonly include_knowledge_graph?: boolean;
    readonly time_window_days?: number;
  };
  /** Where this job's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`) */
  readonly webhook?: {
    /** https only, of a public server */
    readonly url: string;
    /** Events, or families like `job.*`, or `*` */
    readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
    /** Puts the result of a job into its message, if it has at most 128 kB */
    readonly include_result?: boolean;
  };
  /** With false the texts are erased when the job ends */
  readonly store_input?: boolean;
  readonly retention_seconds?: number;
};

/** One message of the stream */
export type StreamedEvent = {
  readonly id?: string;
  readonly event?: string;
  /** JSON */
  readonly data?: string;
  readonly retry?: number;
};

export type Batch = {
  /** batch_ and a UUIDv7 */
  readonly id: string;
  readonly object: 'batch';
  readonly status: 'validating' | 'in_progress' | 'canceling' | 'ended';
  /** Once `status` is `ended` */
  readonly end_reason: 'completed' | 'canceled' | 'expired' | 'invalid' | 'error' | null;
  readonly kind: string;
  readonly model: {
    readonly name: string;
    readonly version: string;
    /** sha256 of the weights */
    readonly digest: string;
  };
  readonly priority: 'high' | 'normal' | 'low';
  readonly on_invalid: 'reject' | 'skip';
  readonly input_file_id: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly created_at: string;
  /** When its first lines could run */
  readonly in_progress_at: string | null;
  readonly cancel_requested_at: string | null;
  readonly ended_at: string | null;
  readonly deadline_at: string | null;
  /** When batch and results are deleted */
  readonly expires_at: string;
  /** How far the lines have been read */
  readonly input: {
    /** Whether the last line has been read */
    readonly complete: boolean;
    /** Lines read and recorded so far */
    readonly lines: number;
    readonly invalid_lines: number;
  };
  /** Of lines; the last four are those of which the results are ready to be read */
  readonly counts: {
    readonly total: number;
    readonly queued: number;
    readonly processing: number;
    readonly succeeded: number;
    /** Bad lines included */
    readonly failed: number;
    readonly canceled: number;
    readonly expired: number;
  };
  /** Why the batch ended as `invalid` or `error`, or was read only in part */
  readonly error: {
    readonly code: string;
    readonly detail: string;
  } | null;
  /** The first 1,000 bad lines; empty in lists */
  readonly errors: readonly {
    /** Counted from 1 */
    readonly line: number;
    /** JSON pointer into the line */
    readonly pointer: string;
    readonly code: string;
    readonly detail: string;
  }[];
  readonly links: {
    readonly self: string;
    readonly results: string;
    readonly events: string;
    readonly cancel: string;
  };
};

export type BatchRequest = {
  /** What is done to each text, e.g. emotion */
  readonly kind: string;
  /** <kind>, <kind>@stable or <kind>@<version>; the default is stable */
  readonly model?: string;
  /** `reject`: nothing runs before the last line is read and all are good. `skip`: lines run as they are read, bad ones end as failed results */
  readonly on_invalid?: 'reject' | 'skip';
  /** Behind live traffic unless you say otherwise */
  readonly priority?: 'high' | 'normal' | 'low';
  /** Whose texts these are, where a line does not say */
  readonly user_id?: string;
  /** What has not started by then expires; what is done by then is kept */
  readonly deadline_at?: string;
  /** Depends on the kind */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, string>>;
  /** With false the texts are erased as their jobs end */
  readonly store_input?: boolean;
  readonly retention_seconds?: number;
  /** Where this batch's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`) */
  readonly webhook?: {
    /** https only, of a public server */
    readonly url: string;
    /** `batch.progress` comes at most once in 10 seconds */
    readonly events?: readonly ('batch.progress' | 'batch.ended' | 'batch.*')[];
  };
  /** The lines */
  readonly items?: readonly {
    /** Yours; once in a batch */
    readonly custom_id: string;
    readonly text: string;
    /** Whose text this is; else the `user_id` of the batch */
    readonly user_id?: string;
    /** Comes back with the result */
    readonly metadata?: Readonly<Record<string, string>>;
  }[];
  /** A file of lines, from `POST /v1/files` */
  readonly input_file_id?: string;
};

export type BatchResult = {
  /** The place of the line in the batch, from 0 */
  readonly index: number;
  /** Null if the line was too broken to have one */
  readonly custom_id: string | null;
  readonly status: 'succeeded' | 'failed' | 'canceled' | 'expired';
  /** As the kind's output schema says */
  readonly output?: unknown;
  readonly error?: {
    readonly code: string;
    readonly detail: string;
    readonly pointer?: string;
  };
  /** The job that the line ran in; null for a bad line */
  readonly job_id: string | null;
  readonly user_id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
};

export type File = {
  /** file_ and a UUIDv7 */
  readonly id: string;
  readonly object: 'file';
  readonly filename: string;
  readonly bytes: number;
  /** Lines that are not empty */
  readonly lines: number;
  /** Of the content, in hex */
  readonly sha256: string;
  readonly created_at: string;
  /** When the file is deleted */
  readonly expires_at: string;
  readonly links: {
    readonly self: string;
    readonly content: string;
  };
};

export type OpenaiFile = {
  readonly id: string;
  readonly object: 'file';
  /** 0 for output files, which are made as they are read */
  readonly bytes: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly filename: string;
  readonly purpose: 'batch' | 'batch_output';
  readonly status: 'processed';
};

export type OpenaiError = {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
};

export type OpenaiBatch = {
  readonly id: string;
  readonly object: 'batch';
  readonly endpoint: string;
  readonly model: string;
  readonly errors: {
    readonly object: 'list';
    readonly data: readonly {
      readonly code: string;
      readonly line: number;
      readonly message: string;
      readonly param: string | null;
    }[];
  } | null;
  readonly input_file_id: string;
  readonly completion_window: '24h';
  readonly status: 'validating' | 'failed' | 'in_progress' | 'completed' | 'expired' | 'cancelling' | 'cancelled';
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
  readonly created_at: number;
  readonly in_progress_at: number | null;
  readonly expires_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at: number | null;
  readonly expired_at: number | null;
  readonly cancelling_at: number | null;
  readonly cancelled_at: number | null;
  readonly request_counts: {
    readonly total: number;
    readonly completed: number;
    readonly failed: number;
  };
  readonly metadata: Readonly<Record<string, string>>;
};

export type ExportLine = {
  readonly type: 'person';
  readonly user_id: string;
  readonly first_seen_at: string | null;
  readonly exported_at: string;
} | {
  readonly type: 'job';
  /** With the analyses of its texts in `result` */
  readonly job: {
    /** job_ and a UUIDv7 */
    readonly id: string;
    readonly object: 'job';
    readonly kind: string;
    readonly status: 'scheduled' | 'queued' | 'processing' | 'canceling' | 'succeeded' | 'failed' | 'canceled' | 'expired';
    readonly status_reason: string | null;
    readonly user_id: string | null;
    readonly custom_id: string | null;
    readonly metadata: Readonly<Record<string, string>>;
    readonly tags: readonly string[];
    readonly model: {
      readonly name: string;
      readonly version: string;
      /** sha256 of the weights */
      readonly digest: string;
    };
    readonly priority: 'high' | 'normal' | 'low';
    readonly created_at: string;
    readonly queued_at: string | null;
    /** Of the first attempt */
    readonly started_at: string | null;
    readonly ended_at: string | null;
    readonly not_before: string | null;
    readonly deadline_at: string | null;
    /** When job and result are deleted */
    readonly expires_at: string;
    readonly retry_of: string | null;
    /** The batch that it is a part of */
    readonly batch_id: string | null;
    readonly attempts: readonly {
      readonly number: number;
      readonly started_at: string;
      readonly ended_at?: string;
      readonly worker: string;
      readonly outcome?: string;
      readonly error?: {
        readonly code: string;
        readonly detail: string;
      };
      /** Waited since the attempt before, and in the hands of the worker */
      readonly timing_ms?: {
        readonly queue: number;
        readonly run: number;
        readonly total: number;
      };
    }[];
    readonly counts: {
      readonly total: number;
      readonly succeeded: number;
      readonly failed: number;
    };
    /** Only while the job is queued */
    readonly queue: {
      /** About how many jobs of the tenant and priority go before it, and itself */
      readonly position: number;
      /** It has ended by then as likely as not; null while no worker is there */
      readonly eta_p50_at: string | null;
      /** It has ended by then in nine of ten cases */
      readonly eta_p90_at: string | null;
    } | null;
    /** Null until the job has ended */
    readonly timing_ms: {
      /** Waiting, backing off, and the attempts before the last */
      readonly queue: number;
      readonly batch_wait: number;
      readonly tokenize: number;
      readonly inference: number;
      readonly persist: number;
      /** ended_at - created_at: the sum of the others */
      readonly total: number;
    } | null;
    readonly execution: {
      readonly attempt: number;
      readonly worker: string;
      readonly device: string;
      readonly pool_items: number;
      readonly micro_batch_items: number;
      readonly micro_batch_tokens: number;
      /** Padded tokens to real tokens in the pool */
      readonly padding_ratio: number;
      readonly flush_reason: 'full' | 'tokens' | 'goal' | 'idle' | 'timeout' | 'turn' | 'drain';
      /** Whether results were known from equal texts: all, none, some; none where nothing is kept */
      readonly cache: 'hit' | 'miss' | 'mixed' | 'none';
    } | null;
    readonly error: {
      readonly code: string;
      readonly detail: string;
    } | null;
    readonly result: {
      readonly items: readonly {
        readonly index: number;
        readonly status: 'succeeded' | 'failed';
        /** As the kind's output schema says */
        readonly output?: unknown;
        readonly error?: {
          readonly code: string;
          readonly detail: string;
        };
      }[];
    } | null;
    readonly links: {
      readonly self: string;
      readonly result: string;
      readonly events: string;
      readonly cancel: string;
    };
  };
  readonly options: Readonly<Record<string, unknown>>;
  /** In input order; null where a text was not to be stored */
  readonly texts: readonly (string | null)[];
  /** Of a job of a batch (`job.batch_id`): the lines that its texts were; else empty */
  readonly lines: readonly {
    readonly item_index: number;
    /** The place in the batch */
    readonly index: number;
    readonly custom_id: string | null;
    readonly metadata: Readonly<Record<string, string>> | null;
  }[];
  readonly events: readonly {
    readonly sequence: number;
    readonly type: string;
    readonly at: string;
    readonly data: Readonly<Record<string, unknown>>;
  }[];
  /** What the analyses state, of which the graph is made */
  readonly facts: readonly {
    readonly item_index: number;
    readonly type: 'causes' | 'mentions' | 'feels';
    readonly source: string;
    readonly target: string;
    readonly relation: string | null;
    readonly strength: number;
  }[];
} | {
  readonly type: 'profile';
  readonly version: number;
  readonly job_id: string;
  readonly created_at: string;
  readonly profile: Readonly<Record<string, unknown>>;
} | {
  readonly type: 'node';
  readonly node: {
    readonly key: string;
    readonly type: string;
    readonly name: string;
  };
} | {
  readonly type: 'edge';
  readonly edge: {
    readonly source: string;
    readonly target: string;
    readonly type: 'causes' | 'mentions' | 'feels';
    readonly relation: string | null;
    /** Mean over the evidence, 0..1 */
    readonly strength: number;
    readonly evidence_count: number;
    /** The newest 20 sources, <job>:<item> */
    readonly analyses: readonly string[];
    readonly first_at: string;
    readonly last_at: string;
  };
} | {
  readonly type: 'end';
  /** Without this line the export was cut off */
  readonly counts: {
    readonly jobs: number;
    readonly texts: number;
    readonly profiles: number;
    readonly nodes: number;
    readonly edges: number;
  };
};

/** Each call by its method and path: what it takes, and what it answers with when it succeeds. */
export interface Operations {
  /** Submit a job */
  readonly 'POST /v1/jobs': {
    readonly header?: {
      /** For 24 hours the same key and request answer as before (`Idempotent-Replayed: true`), for no items */
      readonly 'Idempotency-Key'?: string;
      /** `wait=N`, N from 1 to 60 seconds */
      readonly Prefer?: string;
    };
    readonly body: JobRequest;
    readonly answer: Job;
  };
  /** Jobs, newest first */
  readonly 'GET /v1/jobs': {
    readonly query?: {
      readonly limit?: number;
      /** Jobs older than this one: the `last_id` of the page before */
      readonly after?: string;
      /** Jobs newer than this one, next to it: the `first_id` of the page behind */
      readonly before?: string;
      readonly status?: 'scheduled' | 'queued' | 'processing' | 'canceling' | 'succeeded' | 'failed' | 'canceled' | 'expired';
      readonly kind?: string;
      readonly user_id?: string;
      readonly tag?: string;
      readonly custom_id?: string;
      /** Submitted then or later */
      readonly created_after?: string;
      /** Submitted before then */
      readonly created_before?: string;
    };
    readonly answer: {
      readonly object: 'list';
      /** Newest first; results are at `links.result` */
      readonly data: readonly {
        /** job_ and a UUIDv7 */
        readonly id: string;
        readonly object: 'job';
        readonly kind: string;
        readonly status: 'scheduled' | 'queued' | 'processing' | 'canceling' | 'succeeded' | 'failed' | 'canceled' | 'expired';
        readonly status_reason: string | null;
        readonly user_id: string | null;
        readonly custom_id: string | null;
        readonly metadata: Readonly<Record<string, string>>;
        readonly tags: readonly string[];
        readonly model: {
          readonly name: string;
          readonly version: string;
          /** sha256 of the weights */
          readonly digest: string;
        };
        readonly priority: 'high' | 'normal' | 'low';
        readonly created_at: string;
        readonly queued_at: string | null;
        /** Of the first attempt */
        readonly started_at: string | null;
        readonly ended_at: string | null;
        readonly not_before: string | null;
        readonly deadline_at: string | null;
        /** When job and result are deleted */
        readonly expires_at: string;
        readonly retry_of: string | null;
        /** The batch that it is a part of */
        readonly batch_id: string | null;
        readonly attempts: readonly {
          readonly number: number;
          readonly started_at: string;
          readonly ended_at?: string;
          readonly worker: string;
          readonly outcome?: string;
          readonly error?: {
            readonly code: string;
            readonly detail: string;
          };
          /** Waited since the attempt before, and in the hands of the worker */
          readonly timing_ms?: {
            readonly queue: number;
            readonly run: number;
            readonly total: number;
          };
        }[];
        readonly counts: {
          readonly total: number;
          readonly succeeded: number;
          readonly failed: number;
        };
        /** Only while the job is queued */
        readonly queue: {
          /** About how many jobs of the tenant and priority go before it, and itself */
          readonly position: number;
          /** It has ended by then as likely as not; null while no worker is there */
          readonly eta_p50_at: string | null;
          /** It has ended by then in nine of ten cases */
          readonly eta_p90_at: string | null;
        } | null;
        /** Null until the job has ended */
        readonly timing_ms: {
          /** Waiting, backing off, and the attempts before the last */
          readonly queue: number;
          readonly batch_wait: number;
          readonly tokenize: number;
          readonly inference: number;
          readonly persist: number;
          /** ended_at - created_at: the sum of the others */
          readonly total: number;
        } | null;
        readonly execution: {
          readonly attempt: number;
          readonly worker: string;
          readonly device: string;
          readonly pool_items: number;
          readonly micro_batch_items: number;
          readonly micro_batch_tokens: number;
          /** Padded tokens to real tokens in the pool */
          readonly padding_ratio: number;
          readonly flush_reason: 'full' | 'tokens' | 'goal' | 'idle' | 'timeout' | 'turn' | 'drain';
          /** Whether results were known from equal texts: all, none, some; none where nothing is kept */
          readonly cache: 'hit' | 'miss' | 'mixed' | 'none';
        } | null;
        readonly error: {
          readonly code: string;
          readonly detail: string;
        } | null;
        readonly links: {
          readonly self: string;
          readonly result: string;
          readonly events: string;
          readonly cancel: string;
        };
      }[];
      /** Whether there are more in the direction that was asked for */
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** Look at a job, or wait for it */
  readonly 'GET /v1/jobs/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** Seconds to wait for the job to end; an event wakes the answer */
      readonly wait?: number;
    };
    readonly header?: {
      /** The `ETag` of the version that you have */
      readonly 'If-None-Match'?: string;
    };
    readonly answer: Job;
  };
  /** Erase a job */
  readonly 'DELETE /v1/jobs/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** era_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'erasure';
      /** The job that was erased; null if it was a person */
      readonly job_id: string | null;
      /** The person, while the erasure is pending; null from then on, when nothing says whom it was about */
      readonly user_id: string | null;
      readonly status: 'pending' | 'completed';
      readonly requested_at: string;
      readonly completed_at: string | null;
      /** What is erased so far */
      readonly counts: {
        readonly jobs: number;
        readonly texts: number;
      };
      readonly links: {
        /** Readable for 365 days after it was completed */
        readonly self: string;
      };
    };
  };
  /** The result alone */
  readonly 'GET /v1/jobs/{id}/result': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      readonly job_id: string;
      readonly object: 'result';
      readonly kind: string;
      readonly model: {
        readonly name: string;
        readonly version: string;
        /** sha256 of the weights */
        readonly digest: string;
      };
      readonly counts: {
        readonly total: number;
        readonly succeeded: number;
        readonly failed: number;
      };
      /** In the order of the texts */
      readonly items: readonly {
        readonly index: number;
        readonly status: 'succeeded' | 'failed';
        readonly output?: EmotionOutput | ReasoningOutput | EmbeddingOutput | ProfileOutput;
        readonly error?: {
          readonly code: string;
          readonly detail: string;
        };
      }[];
    };
  };
  /** Cancel a job */
  readonly 'POST /v1/jobs/{id}/cancel': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: Job;
  };
  /** Run an ended job again, as a new job */
  readonly 'POST /v1/jobs/{id}/retry': {
    readonly path: {
      readonly id: string;
    };
    readonly header?: {
      /** For 24 hours the same key and request answer as before (`Idempotent-Replayed: true`), for no items */
      readonly 'Idempotency-Key'?: string;
    };
    readonly answer: Job;
  };
  /** What happens to a job, as server-sent events */
  readonly 'GET /v1/jobs/{id}/events': {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** As `Last-Event-ID`, which goes first */
      readonly after?: number;
    };
    readonly header?: {
      /** The `id` of the last event that you have; an EventSource sends it */
      readonly 'Last-Event-ID'?: string;
    };
    readonly answer: StreamedEvent;
  };
  /** Submit a batch */
  readonly 'POST /v1/batches': {
    readonly query?: {
      /** What is done to each text, e.g. emotion */
      readonly kind?: string;
      /** <kind>, <kind>@stable or <kind>@<version>; the default is stable */
      readonly model?: string;
      /** `reject`: nothing runs before the last line is read and all are good. `skip`: lines run as they are read, bad ones end as failed results */
      readonly on_invalid?: 'reject' | 'skip';
      /** Behind live traffic unless you say otherwise */
      readonly priority?: 'high' | 'normal' | 'low';
      /** Whose texts these are, where a line does not say */
      readonly user_id?: string;
      /** What has not started by then expires; what is done by then is kept */
      readonly deadline_at?: string;
      /** A JSON object; depends on the kind */
      readonly options?: string;
      /** A JSON object of up to 16 strings */
      readonly metadata?: string;
      /** A JSON object, `{url, events}`, as in a JSON body */
      readonly webhook?: string;
      readonly store_input?: 'true' | 'false';
      readonly retention_seconds?: number;
    };
    readonly header?: {
      /** For 24 hours the same key and request answer as before (`Idempotent-Replayed: true`), for no items */
      readonly 'Idempotency-Key'?: string;
    };
    readonly body: BatchRequest | string;
    readonly answer: Batch;
  };
  /** Batches, newest first */
  readonly 'GET /v1/batches': {
    readonly query?: {
      readonly limit?: number;
      /** Older than this one: the `last_id` of the page before */
      readonly after?: string;
      /** Newer than this one, next to it: the `first_id` of the page behind */
      readonly before?: string;
      readonly status?: 'validating' | 'in_progress' | 'canceling' | 'ended';
      readonly kind?: string;
    };
    readonly answer: {
      readonly object: 'list';
      /** Newest first */
      readonly data: readonly {
        /** batch_ and a UUIDv7 */
        readonly id: string;
        readonly object: 'batch';
        readonly status: 'validating' | 'in_progress' | 'canceling' | 'ended';
        /** Once `status` is `ended` */
        readonly end_reason: 'completed' | 'canceled' | 'expired' | 'invalid' | 'error' | null;
        readonly kind: string;
        readonly model: {
          readonly name: string;
          readonly version: string;
          /** sha256 of the weights */
          readonly digest: string;
        };
        readonly priority: 'high' | 'normal' | 'low';
        readonly on_invalid: 'reject' | 'skip';
        readonly input_file_id: string | null;
        readonly metadata: Readonly<Record<string, string>>;
        readonly created_at: string;
        /** When its first lines could run */
        readonly in_progress_at: string | null;
        readonly cancel_requested_at: string | null;
        readonly ended_at: string | null;
        readonly deadline_at: string | null;
        /** When batch and results are deleted */
        readonly expires_at: string;
        /** How far the lines have been read */
        readonly input: {
          /** Whether the last line has been read */
          readonly complete: boolean;
          /** Lines read and recorded so far */
          readonly lines: number;
          readonly invalid_lines: number;
        };
        /** Of lines; the last four are those of which the results are ready to be read */
        readonly counts: {
          readonly total: number;
          readonly queued: number;
          readonly processing: number;
          readonly succeeded: number;
          /** Bad lines included */
          readonly failed: number;
          readonly canceled: number;
          readonly expired: number;
        };
        /** Why the batch ended as `invalid` or `error`, or was read only in part */
        readonly error: {
          readonly code: string;
          readonly detail: string;
        } | null;
        /** The first 1,000 bad lines; empty in lists */
        readonly errors: readonly {
          /** Counted from 1 */
          readonly line: number;
          /** JSON pointer into the line */
          readonly pointer: string;
          readonly code: string;
          readonly detail: string;
        }[];
        readonly links: {
          readonly self: string;
          readonly results: string;
          readonly events: string;
          readonly cancel: string;
        };
      }[];
      /** Whether there are more in the direction that was asked for */
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** Look at a batch, or wait for it */
  readonly 'GET /v1/batches/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** Seconds to wait for the batch to end; an event wakes the answer */
      readonly wait?: number;
    };
    readonly answer: Batch;
  };
  /** Erase a batch */
  readonly 'DELETE /v1/batches/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      readonly id: string;
      readonly object: 'batch';
      readonly deleted: true;
    };
  };
  /** The results, a line each, while the batch still runs */
  readonly 'GET /v1/batches/{id}/results': {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** Go on behind this result: the `index` of the last line that you have, in the same order */
      readonly after?: number;
      /** `completion` gives each result as it is ready; `input` waits for the next line of the batch */
      readonly order?: 'completion' | 'input';
    };
    readonly answer: BatchResult;
  };
  /** The progress of a batch, as server-sent events */
  readonly 'GET /v1/batches/{id}/events': {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** As `Last-Event-ID`, which goes first */
      readonly after?: number;
    };
    readonly header?: {
      /** The `id` of the last event that you have */
      readonly 'Last-Event-ID'?: string;
    };
    readonly answer: StreamedEvent;
  };
  /** Cancel a batch */
  readonly 'POST /v1/batches/{id}/cancel': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: Batch;
  };
  /** Upload lines for batches */
  readonly 'POST /v1/files': {
    readonly query?: {
      readonly filename?: string;
      readonly retention_seconds?: number;
    };
    readonly body: string;
    readonly answer: File;
  };
  /** Files, newest first */
  readonly 'GET /v1/files': {
    readonly query?: {
      readonly limit?: number;
      /** Older than this one: the `last_id` of the page before */
      readonly after?: string;
      /** Newer than this one, next to it: the `first_id` of the page behind */
      readonly before?: string;
    };
    readonly answer: {
      readonly object: 'list';
      readonly data: readonly {
        /** file_ and a UUIDv7 */
        readonly id: string;
        readonly object: 'file';
        readonly filename: string;
        readonly bytes: number;
        /** Lines that are not empty */
        readonly lines: number;
        /** Of the content, in hex */
        readonly sha256: string;
        readonly created_at: string;
        /** When the file is deleted */
        readonly expires_at: string;
        readonly links: {
          readonly self: string;
          readonly content: string;
        };
      }[];
      /** Whether there are more in the direction that was asked for */
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** Look at a file */
  readonly 'GET /v1/files/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: File;
  };
  /** Delete a file */
  readonly 'DELETE /v1/files/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      readonly id: string;
      readonly object: 'file';
      readonly deleted: true;
    };
  };
  /** The bytes of a file, as they were uploaded */
  readonly 'GET /v1/files/{id}/content': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: unknown;
  };
  /** Upload a file of requests */
  readonly 'POST /openai/v1/files': {
    readonly body: {
      readonly file: string;
      readonly purpose: 'batch';
    };
    readonly answer: OpenaiFile;
  };
  /** Files, newest first */
  readonly 'GET /openai/v1/files': {
    readonly query?: {
      readonly limit?: number;
      readonly after?: string;
    };
    readonly answer: {
      readonly object: 'list';
      readonly data: readonly OpenaiFile[];
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** Look at a file */
  readonly 'GET /openai/v1/files/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: OpenaiFile;
  };
  /** Delete a file */
  readonly 'DELETE /openai/v1/files/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      readonly id: string;
      readonly object: 'file';
      readonly deleted: true;
    };
  };
  /** The content of a file; of an output file, the results in the form of the endpoint */
  readonly 'GET /openai/v1/files/{id}/content': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: string;
  };
  /** Run the requests of a file */
  readonly 'POST /openai/v1/batches': {
    readonly header?: {
      /** For 24 hours the same key and request answer as before (`Idempotent-Replayed: true`), for no items */
      readonly 'Idempotency-Key'?: string;
    };
    readonly body: {
      readonly input_file_id: string;
      /** /v1/embeddings (kind embedding), /v1/moderations (emotion) or /v1/responses (reasoning) */
      readonly endpoint: '/v1/embeddings' | '/v1/moderations' | '/v1/responses';
      readonly completion_window: '24h';
      readonly metadata?: Readonly<Record<string, string>> | null;
    };
    readonly answer: OpenaiBatch;
  };
  /** Batches of this dialect, newest first */
  readonly 'GET /openai/v1/batches': {
    readonly query?: {
      readonly limit?: number;
      readonly after?: string;
    };
    readonly answer: {
      readonly object: 'list';
      readonly data: readonly OpenaiBatch[];
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** Look at a batch */
  readonly 'GET /openai/v1/batches/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: OpenaiBatch;
  };
  /** Cancel a batch */
  readonly 'POST /openai/v1/batches/{id}/cancel': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: OpenaiBatch;
  };
  /** Emotions over time, newest first, with the trajectory of the range */
  readonly 'GET /v1/users/{user_id}/emotions': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query?: {
      readonly from?: string;
      readonly to?: string;
      readonly after?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly data: readonly {
        readonly job_id: string;
        readonly item_index: number;
        /** When the text was submitted */
        readonly timestamp: string;
        readonly model_version: string;
        readonly primary_emotion: string;
        readonly primary_score: number;
        readonly emotions: readonly {
          readonly label: string;
          readonly score: number;
        }[];
        readonly valence: number;
        readonly arousal: number;
        readonly intensity: number;
        readonly confidence: number;
        /** How far from what is usual for the person; only for tenants that asked for it, from the eighth analysis on */
        readonly anomaly?: {
          /** Whether valence or arousal is more than 2.5 standard deviations from the usual */
          readonly unusual: boolean;
          readonly valence: {
            /** Distance from the usual value, in standard deviations; negative below */
            readonly z: number;
            readonly direction: 'above_usual' | 'below_usual' | 'usual';
          };
          readonly arousal: {
            /** Distance from the usual value, in standard deviations; negative below */
            readonly z: number;
            readonly direction: 'above_usual' | 'below_usual' | 'usual';
          };
          /** The finding in neutral words */
          readonly note: string;
        };
      }[];
      readonly has_more: boolean;
      readonly trajectory: {
        /** The analyses in order of time */
        readonly trajectory: readonly {
          readonly timestamp: string;
          readonly valence: number;
          readonly arousal: number;
          readonly primary_emotion: string;
          readonly intensity: number;
        }[];
        /** Mean valence, -1..1; null for no analyses */
        readonly baseline_valence: number | null;
        /** Sample standard deviation of valence; null for fewer than two */
        readonly valence_std: number | null;
        /** Mean arousal, 0..1 */
        readonly baseline_arousal: number | null;
        readonly arousal_std: number | null;
        /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
        readonly trend: 'improving' | 'declining' | 'stable' | null;
        /** Valence per day, by least squares over the real times; null as trend */
        readonly trend_slope: number | null;
        /** Its 95 % confidence interval */
        readonly trend_slope_interval: readonly number[] | null;
        /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
        readonly volatility: number | null;
        /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
        readonly dominant_emotions: readonly {
          readonly emotion: string;
          readonly count: number;
          readonly percentage: number;
        }[];
        readonly data_points: number;
        /** Days (UTC) with at least one analysis */
        readonly days_analyzed: number;
      };
    };
  };
  /** The newest profile, or a version of it */
  readonly 'GET /v1/users/{user_id}/profile': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query?: {
      readonly version?: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly version: number;
      readonly created_at: string;
      readonly profile: {
        /** Null if left out by include_emotions */
        readonly emotions: {
          /** The analyses in order of time */
          readonly trajectory: readonly {
            readonly timestamp: string;
            readonly valence: number;
            readonly arousal: number;
            readonly primary_emotion: string;
            readonly intensity: number;
          }[];
          /** Mean valence, -1..1; null for no analyses */
          readonly baseline_valence: number | null;
          /** Sample standard deviation of valence; null for fewer than two */
          readonly valence_std: number | null;
          /** Mean arousal, 0..1 */
          readonly baseline_arousal: number | null;
          readonly arousal_std: number | null;
          /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
          readonly trend: 'improving' | 'declining' | 'stable' | null;
          /** Valence per day, by least squares over the real times; null as trend */
          readonly trend_slope: number | null;
          /** Its 95 % confidence interval */
          readonly trend_slope_interval: readonly number[] | null;
          /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
          readonly volatility: number | null;
          /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
          readonly dominant_emotions: readonly {
            readonly emotion: string;
            readonly count: number;
            readonly percentage: number;
          }[];
          readonly data_points: number;
          /** Days (UTC) with at least one analysis */
          readonly days_analyzed: number;
        } | null;
        /** Null if left out by include_reasoning */
        readonly reasoning: {
          /** Chains by chain_type */
          readonly types: Readonly<Record<string, number>>;
          /** Chains by relation */
          readonly relations: Readonly<Record<string, number>>;
          /** By the sum over the evidence of strength times confidence; causes and effects are compared as concepts */
          readonly strongest_chains: readonly {
            readonly cause: string;
            readonly effect: string;
            /** Chains with this cause and effect */
            readonly evidence_count: number;
            /** Mean strength of them, 0..1 */
            readonly strength: number;
            /** Mean confidence of them, 0..1 */
            readonly confidence: number;
          }[];
          /** The most frequent chain_type; null without chains or if two are equally frequent */
          readonly preferred_style: string | null;
          readonly total_chains: number;
          readonly counterfactuals: number;
        } | null;
        /** Of all that is known, not of the window; null if left out by include_knowledge_graph */
        readonly knowledge_graph: {
          readonly stats: {
            readonly nodes: number;
            readonly edges: number;
            readonly nodes_by_type: Readonly<Record<string, number>>;
            readonly edges_by_type: Readonly<Record<string, number>>;
          };
          readonly top_concepts: readonly {
            readonly key: string;
            readonly name: string;
            readonly degree: number;
          }[];
          readonly communities: readonly {
            readonly label: string;
            readonly nodes: readonly string[];
          }[];
          /** Of the division into communities, -0.5..1; null if there is none */
          readonly modularity: number | null;
        } | null;
        /** Analyses from `from` to before `to` were read */
        readonly window: {
          readonly from: string;
          readonly to: string;
        };
        readonly coverage: {
          readonly emotion_analyses: number;
          readonly reasoning_analyses: number;
          /** Days (UTC) with at least one analysis of those read */
          readonly days: number;
          readonly first_at: string | null;
          readonly last_at: string | null;
        };
        /** By kind, the versions that made the analyses read */
        readonly model_versions: Readonly<Record<string, readonly string[]>>;
        readonly generated_at: string;
      };
    };
  };
  /** What changed between two versions of the profile */
  readonly 'GET /v1/users/{user_id}/profile/diff': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query: {
      readonly from: number;
      readonly to: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly from: number;
      readonly to: number;
      readonly diff: {
        /** False if other model versions made the analyses, so that a change may be the models and not the person */
        readonly comparable: boolean;
        /** Figures that differ, by their path in the profile, e.g. emotions.baseline_valence */
        readonly numbers: Readonly<Record<string, {
          readonly before: number | null;
          readonly after: number | null;
          /** after - before; null if either is */
          readonly change: number | null;
        }>>;
        /** Words that differ, e.g. emotions.trend */
        readonly words: Readonly<Record<string, {
          readonly before: string | null;
          readonly after: string | null;
        }>>;
        /** What lists have more and less: dominant emotions, strongest chains, top concepts */
        readonly lists: Readonly<Record<string, {
          readonly added: readonly string[];
          readonly removed: readonly string[];
        }>>;
      };
    };
  };
  /** The knowledge graph, or what surrounds a node */
  readonly 'GET /v1/users/{user_id}/graph': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query?: {
      readonly depth?: number;
      readonly min_strength?: number;
      readonly limit?: number;
      readonly from?: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly nodes: readonly {
        readonly key: string;
        readonly type: string;
        readonly name: string;
      }[];
      readonly edges: readonly {
        readonly source: string;
        readonly target: string;
        readonly type: 'causes' | 'mentions' | 'feels';
        readonly relation: string | null;
        /** Mean over the evidence, 0..1 */
        readonly strength: number;
        readonly evidence_count: number;
        /** The newest 20 sources, <job>:<item> */
        readonly analyses: readonly string[];
        readonly first_at: string;
        readonly last_at: string;
      }[];
      readonly truncated: boolean;
    };
  };
  /** The strongest ways from a cause to an effect, or the shortest one */
  readonly 'GET /v1/users/{user_id}/graph/paths': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query: {
      readonly depth?: number;
      readonly min_strength?: number;
      readonly limit?: number;
      readonly from: string;
      readonly to: string;
      readonly shortest?: 'true' | 'false';
    };
    readonly answer: {
      readonly user_id: string;
      readonly paths: readonly {
        readonly nodes: readonly string[];
        readonly strength: number;
        readonly edges: readonly {
          readonly source: string;
          readonly target: string;
          readonly type: 'causes' | 'mentions' | 'feels';
          readonly relation: string | null;
          /** Mean over the evidence, 0..1 */
          readonly strength: number;
          readonly evidence_count: number;
          /** The newest 20 sources, <job>:<item> */
          readonly analyses: readonly string[];
          readonly first_at: string;
          readonly last_at: string;
        }[];
      }[];
      readonly explanation: {
        readonly exists: boolean;
        readonly direct: boolean;
        readonly path_count: number;
        readonly strongest: {
          readonly nodes: readonly string[];
          /** Product of the strengths along the way, 0..1 */
          readonly strength: number;
        } | null;
        readonly mediators: readonly {
          readonly node: string;
          readonly paths: number;
        }[];
        /** Whether the graph is larger than what was looked at */
        readonly truncated: boolean;
      };
      readonly confounders: {
        readonly confounders: readonly {
          readonly node: string;
          readonly direct: boolean;
          /** Product of the strengths along the way, 0..1 */
          readonly strength: number;
        }[];
        /** Whether the graph is larger than what was looked at */
        readonly truncated: boolean;
      };
    };
  };
  /** Nodes by a part of their name */
  readonly 'GET /v1/users/{user_id}/graph/search': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query: {
      readonly q: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly nodes: readonly {
        readonly key: string;
        readonly type: string;
        readonly name: string;
      }[];
    };
  };
  /** What is joined to a node */
  readonly 'GET /v1/users/{user_id}/graph/neighbours': {
    readonly path: {
      readonly user_id: string;
    };
    readonly query: {
      readonly depth?: number;
      readonly min_strength?: number;
      readonly limit?: number;
      readonly node: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly neighbours: readonly {
        readonly node: {
          readonly key: string;
          readonly type: string;
          readonly name: string;
        };
        readonly direction: 'in' | 'out';
        readonly edge: {
          readonly source: string;
          readonly target: string;
          readonly type: 'causes' | 'mentions' | 'feels';
          readonly relation: string | null;
          /** Mean over the evidence, 0..1 */
          readonly strength: number;
          readonly evidence_count: number;
          /** The newest 20 sources, <job>:<item> */
          readonly analyses: readonly string[];
          readonly first_at: string;
          readonly last_at: string;
        };
      }[];
    };
  };
  /** Sizes of the graph */
  readonly 'GET /v1/users/{user_id}/graph/stats': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      /** Which store answered */
      readonly store: 'postgres' | 'neo4j';
      readonly nodes: number;
      readonly edges: number;
      readonly nodes_by_type: Readonly<Record<string, number>>;
      readonly edges_by_type: Readonly<Record<string, number>>;
      readonly top_concepts: readonly {
        readonly node: {
          readonly key: string;
          readonly type: string;
          readonly name: string;
        };
        readonly degree: number;
      }[];
    };
  };
  /** Concepts that belong together */
  readonly 'GET /v1/users/{user_id}/graph/communities': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      /** Largest first */
      readonly communities: readonly {
        readonly label: string;
        readonly nodes: readonly string[];
      }[];
      /** Of the whole division, -0.5..1 */
      readonly modularity: number;
      /** Whether the graph is larger than what was looked at */
      readonly truncated: boolean;
    };
  };
  /** Causal circles */
  readonly 'GET /v1/users/{user_id}/graph/contradictions': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly contradictions: readonly {
        readonly type: 'mutual_causation' | 'causal_cycle';
        readonly nodes: readonly string[];
        /** Product of the strengths along the way, 0..1 */
        readonly strength: number;
      }[];
      /** Whether the graph is larger than what was looked at */
      readonly truncated: boolean;
    };
  };
  /** An estimate of what a change of one concept would do to others */
  readonly 'POST /v1/users/{user_id}/graph/what-if': {
    readonly path: {
      readonly user_id: string;
    };
    readonly body: {
      readonly node: string;
      readonly change: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly effects: readonly {
        readonly node: string;
        /** Estimated change, -1..1 */
        readonly estimate: number;
        readonly paths: number;
        readonly strongest: readonly string[];
      }[];
      readonly assumptions: readonly string[];
      /** Whether the graph is larger than what was looked at */
      readonly truncated: boolean;
    };
  };
  /** Emotions of a text */
  readonly 'POST /api/emotions/analyze': {
    readonly body: {
      readonly user_id: string;
      readonly text: string;
      readonly context?: 'message' | 'post' | 'comment' | 'review';
    };
    readonly answer: {
      readonly user_id: string;
      readonly job_id: string;
      readonly emotions: readonly {
        readonly label: string;
        readonly score: number;
      }[];
      readonly primary_emotion: string;
      readonly primary_score: number;
      readonly all_emotions: Readonly<Record<string, number>>;
      readonly intensity: number;
      readonly valence: number;
      readonly arousal: number;
      readonly is_sarcastic: boolean | null;
      readonly mixed_emotions: readonly unknown[];
      readonly confidence: number;
      readonly timestamp: string | null;
      readonly model_version: string;
    } | {
      readonly user_id: string;
      readonly job_id: string;
      readonly error: {
        readonly code: string;
        readonly detail: string;
      };
    } | Job;
  };
  /** Emotions of several texts */
  readonly 'POST /api/emotions/batch': {
    readonly body: {
      readonly user_id: string;
      readonly texts: readonly string[];
    };
    readonly answer: {
      readonly user_id: string;
      readonly job_id: string;
      readonly results: readonly ({
        readonly emotions: readonly {
          readonly label: string;
          readonly score: number;
        }[];
        readonly primary_emotion: string;
        readonly primary_score: number;
        readonly all_emotions: Readonly<Record<string, number>>;
        readonly intensity: number;
        readonly valence: number;
        readonly arousal: number;
        readonly is_sarcastic: boolean | null;
        readonly mixed_emotions: readonly unknown[];
        readonly confidence: number;
        readonly timestamp: string | null;
        readonly model_version: string;
        readonly index: number;
      } | {
        readonly error: {
          readonly code: string;
          readonly detail: string;
        };
        readonly index: number;
      })[];
    } | Job;
  };
  /** Causes, effects and counterfactuals of a text */
  readonly 'POST /api/reasoning/extract': {
    readonly body: {
      readonly user_id: string;
      readonly text: string;
      readonly extract_causal?: boolean;
      readonly extract_counterfactual?: boolean;
    };
    readonly answer: {
      readonly user_id: string;
      readonly job_id: string;
      readonly causal_chains: readonly unknown[];
      readonly reasoning_graph: {
        readonly nodes: readonly unknown[];
        readonly edges: readonly unknown[];
      };
      readonly counterfactuals: readonly unknown[];
    } | Job;
  };
  /** Make a profile */
  readonly 'POST /api/profile/generate': {
    readonly body: {
      readonly user_id: string;
      readonly include_emotions?: boolean;
      readonly include_reasoning?: boolean;
      readonly include_knowledge_graph?: boolean;
      readonly time_window_days?: number;
    };
    readonly answer: {
      readonly user_id: string;
      readonly job_id: string;
      readonly version: number;
      readonly profile: {
        /** Null if left out by include_emotions */
        readonly emotions: {
          /** The analyses in order of time */
          readonly trajectory: readonly {
            readonly timestamp: string;
            readonly valence: number;
            readonly arousal: number;
            readonly primary_emotion: string;
            readonly intensity: number;
          }[];
          /** Mean valence, -1..1; null for no analyses */
          readonly baseline_valence: number | null;
          /** Sample standard deviation of valence; null for fewer than two */
          readonly valence_std: number | null;
          /** Mean arousal, 0..1 */
          readonly baseline_arousal: number | null;
          readonly arousal_std: number | null;
          /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
          readonly trend: 'improving' | 'declining' | 'stable' | null;
          /** Valence per day, by least squares over the real times; null as trend */
          readonly trend_slope: number | null;
          /** Its 95 % confidence interval */
          readonly trend_slope_interval: readonly number[] | null;
          /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
          readonly volatility: number | null;
          /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
          readonly dominant_emotions: readonly {
            readonly emotion: string;
            readonly count: number;
            readonly percentage: number;
          }[];
          readonly data_points: number;
          /** Days (UTC) with at least one analysis */
          readonly days_analyzed: number;
        } | null;
        /** Null if left out by include_reasoning */
        readonly reasoning: {
          /** Chains by chain_type */
          readonly types: Readonly<Record<string, number>>;
          /** Chains by relation */
          readonly relations: Readonly<Record<string, number>>;
          /** By the sum over the evidence of strength times confidence; causes and effects are compared as concepts */
          readonly strongest_chains: readonly {
            readonly cause: string;
            readonly effect: string;
            /** Chains with this cause and effect */
            readonly evidence_count: number;
            /** Mean strength of them, 0..1 */
            readonly strength: number;
            /** Mean confidence of them, 0..1 */
            readonly confidence: number;
          }[];
          /** The most frequent chain_type; null without chains or if two are equally frequent */
          readonly preferred_style: string | null;
          readonly total_chains: number;
          readonly counterfactuals: number;
        } | null;
        /** Of all that is known, not of the window; null if left out by include_knowledge_graph */
        readonly knowledge_graph: {
          readonly stats: {
            readonly nodes: number;
            readonly edges: number;
            readonly nodes_by_type: Readonly<Record<string, number>>;
            readonly edges_by_type: Readonly<Record<string, number>>;
          };
          readonly top_concepts: readonly {
            readonly key: string;
            readonly name: string;
            readonly degree: number;
          }[];
          readonly communities: readonly {
            readonly label: string;
            readonly nodes: readonly string[];
          }[];
          /** Of the division into communities, -0.5..1; null if there is none */
          readonly modularity: number | null;
        } | null;
        /** Analyses from `from` to before `to` were read */
        readonly window: {
          readonly from: string;
          readonly to: string;
        };
        readonly coverage: {
          readonly emotion_analyses: number;
          readonly reasoning_analyses: number;
          /** Days (UTC) with at least one analysis of those read */
          readonly days: number;
          readonly first_at: string | null;
          readonly last_at: string | null;
        };
        /** By kind, the versions that made the analyses read */
        readonly model_versions: Readonly<Record<string, readonly string[]>>;
        readonly generated_at: string;
      };
    } | Job;
  };
  /** Emotions over time */
  readonly 'GET /api/emotions/history/{user_id}': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly history: readonly {
        readonly job_id: string;
        readonly item_index: number;
        /** When the text was submitted */
        readonly timestamp: string;
        readonly model_version: string;
        readonly primary_emotion: string;
        readonly primary_score: number;
        readonly emotions: readonly {
          readonly label: string;
          readonly score: number;
        }[];
        readonly valence: number;
        readonly arousal: number;
        readonly intensity: number;
        readonly confidence: number;
        /** How far from what is usual for the person; only for tenants that asked for it, from the eighth analysis on */
        readonly anomaly?: {
          /** Whether valence or arousal is more than 2.5 standard deviations from the usual */
          readonly unusual: boolean;
          readonly valence: {
            /** Distance from the usual value, in standard deviations; negative below */
            readonly z: number;
            readonly direction: 'above_usual' | 'below_usual' | 'usual';
          };
          readonly arousal: {
            /** Distance from the usual value, in standard deviations; negative below */
            readonly z: number;
            readonly direction: 'above_usual' | 'below_usual' | 'usual';
          };
          /** The finding in neutral words */
          readonly note: string;
        };
      }[];
      readonly trajectory: {
        /** The analyses in order of time */
        readonly trajectory: readonly {
          readonly timestamp: string;
          readonly valence: number;
          readonly arousal: number;
          readonly primary_emotion: string;
          readonly intensity: number;
        }[];
        /** Mean valence, -1..1; null for no analyses */
        readonly baseline_valence: number | null;
        /** Sample standard deviation of valence; null for fewer than two */
        readonly valence_std: number | null;
        /** Mean arousal, 0..1 */
        readonly baseline_arousal: number | null;
        readonly arousal_std: number | null;
        /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
        readonly trend: 'improving' | 'declining' | 'stable' | null;
        /** Valence per day, by least squares over the real times; null as trend */
        readonly trend_slope: number | null;
        /** Its 95 % confidence interval */
        readonly trend_slope_interval: readonly number[] | null;
        /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
        readonly volatility: number | null;
        /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
        readonly dominant_emotions: readonly {
          readonly emotion: string;
          readonly count: number;
          readonly percentage: number;
        }[];
        readonly data_points: number;
        /** Days (UTC) with at least one analysis */
        readonly days_analyzed: number;
      };
    };
  };
  /** The knowledge graph */
  readonly 'GET /api/reasoning/graph/{user_id}': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly nodes: readonly {
        readonly key: string;
        readonly type: string;
        readonly name: string;
      }[];
      readonly edges: readonly {
        readonly source: string;
        readonly target: string;
        readonly type: 'causes' | 'mentions' | 'feels';
        readonly relation: string | null;
        /** Mean over the evidence, 0..1 */
        readonly strength: number;
        readonly evidence_count: number;
        /** The newest 20 sources, <job>:<item> */
        readonly analyses: readonly string[];
        readonly first_at: string;
        readonly last_at: string;
      }[];
    };
  };
  /** The newest profile */
  readonly 'GET /api/profile/{user_id}': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      readonly user_id: string;
      readonly version: number;
      readonly created_at: string;
      readonly profile: {
        /** Null if left out by include_emotions */
        readonly emotions: {
          /** The analyses in order of time */
          readonly trajectory: readonly {
            readonly timestamp: string;
            readonly valence: number;
            readonly arousal: number;
            readonly primary_emotion: string;
            readonly intensity: number;
          }[];
          /** Mean valence, -1..1; null for no analyses */
          readonly baseline_valence: number | null;
          /** Sample standard deviation of valence; null for fewer than two */
          readonly valence_std: number | null;
          /** Mean arousal, 0..1 */
          readonly baseline_arousal: number | null;
          readonly arousal_std: number | null;
          /** Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time */
          readonly trend: 'improving' | 'declining' | 'stable' | null;
          /** Valence per day, by least squares over the real times; null as trend */
          readonly trend_slope: number | null;
          /** Its 95 % confidence interval */
          readonly trend_slope_interval: readonly number[] | null;
          /** Root mean square of the differences of valence between neighbouring analyses; null for fewer than two */
          readonly volatility: number | null;
          /** The most frequent primary emotions; percentage is of all analyses, 0..100 */
          readonly dominant_emotions: readonly {
            readonly emotion: string;
            readonly count: number;
            readonly percentage: number;
          }[];
          readonly data_points: number;
          /** Days (UTC) with at least one analysis */
          readonly days_analyzed: number;
        } | null;
        /** Null if left out by include_reasoning */
        readonly reasoning: {
          /** Chains by chain_type */
          readonly types: Readonly<Record<string, number>>;
          /** Chains by relation */
          readonly relations: Readonly<Record<string, number>>;
          /** By the sum over the evidence of strength times confidence; causes and effects are compared as concepts */
          readonly strongest_chains: readonly {
            readonly cause: string;
            readonly effect: string;
            /** Chains with this cause and effect */
            readonly evidence_count: number;
            /** Mean strength of them, 0..1 */
            readonly strength: number;
            /** Mean confidence of them, 0..1 */
            readonly confidence: number;
          }[];
          /** The most frequent chain_type; null without chains or if two are equally frequent */
          readonly preferred_style: string | null;
          readonly total_chains: number;
          readonly counterfactuals: number;
        } | null;
        /** Of all that is known, not of the window; null if left out by include_knowledge_graph */
        readonly knowledge_graph: {
          readonly stats: {
            readonly nodes: number;
            readonly edges: number;
            readonly nodes_by_type: Readonly<Record<string, number>>;
            readonly edges_by_type: Readonly<Record<string, number>>;
          };
          readonly top_concepts: readonly {
            readonly key: string;
            readonly name: string;
            readonly degree: number;
          }[];
          readonly communities: readonly {
            readonly label: string;
            readonly nodes: readonly string[];
          }[];
          /** Of the division into communities, -0.5..1; null if there is none */
          readonly modularity: number | null;
        } | null;
        /** Analyses from `from` to before `to` were read */
        readonly window: {
          readonly from: string;
          readonly to: string;
        };
        readonly coverage: {
          readonly emotion_analyses: number;
          readonly reasoning_analyses: number;
          /** Days (UTC) with at least one analysis of those read */
          readonly days: number;
          readonly first_at: string | null;
          readonly last_at: string | null;
        };
        /** By kind, the versions that made the analyses read */
        readonly model_versions: Readonly<Record<string, readonly string[]>>;
        readonly generated_at: string;
      };
    };
  };
  /** All endpoints, oldest first */
  readonly 'GET /v1/webhook_endpoints': {
    readonly answer: {
      readonly object: 'list';
      /** Oldest first */
      readonly data: readonly {
        /** whep_ and a UUIDv7 */
        readonly id: string;
        readonly object: 'webhook_endpoint';
        readonly url: string;
        readonly events: readonly string[];
        readonly include_result: boolean;
        readonly description: string | null;
        readonly status: 'enabled' | 'disabled';
        /** `disabled_by_client`, `gone` (it answered 410) or `failing` (nothing but failure for 5 days) */
        readonly status_reason: string | null;
        /** The first failure since the last success */
        readonly failing_since: string | null;
        readonly created_at: string;
      }[];
    };
  };
  /** Register a URL that hears of events */
  readonly 'POST /v1/webhook_endpoints': {
    readonly body: {
      /** https only, of a public server */
      readonly url: string;
      /** Events, or families like `job.*`, or `*` */
      readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
      /** Puts the result of a job into its message, if it has at most 128 kB */
      readonly include_result?: boolean;
      readonly description?: string | null;
    };
    readonly answer: {
      /** whep_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'webhook_endpoint';
      readonly url: string;
      readonly events: readonly string[];
      readonly include_result: boolean;
      readonly description: string | null;
      readonly status: 'enabled' | 'disabled';
      /** `disabled_by_client`, `gone` (it answered 410) or `failing` (nothing but failure for 5 days) */
      readonly status_reason: string | null;
      /** The first failure since the last success */
      readonly failing_since: string | null;
      readonly created_at: string;
      /** `whsec_...`: what signs its messages. It is shown this once */
      readonly secret: string;
    };
  };
  /** An endpoint */
  readonly 'GET /v1/webhook_endpoints/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** whep_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'webhook_endpoint';
      readonly url: string;
      readonly events: readonly string[];
      readonly include_result: boolean;
      readonly description: string | null;
      readonly status: 'enabled' | 'disabled';
      /** `disabled_by_client`, `gone` (it answered 410) or `failing` (nothing but failure for 5 days) */
      readonly status_reason: string | null;
      /** The first failure since the last success */
      readonly failing_since: string | null;
      readonly created_at: string;
    };
  };
  /** Change, disable or enable an endpoint */
  readonly 'PATCH /v1/webhook_endpoints/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly body: {
      /** https only, of a public server */
      readonly url?: string;
      /** Events, or families like `job.*`, or `*` */
      readonly events?: readonly ('job.started' | 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired' | 'batch.progress' | 'batch.ended' | 'profile.updated' | 'endpoint.disabled' | 'webhook.test' | 'job.*' | 'batch.*' | 'profile.*' | 'endpoint.*' | '*')[];
      /** Puts the result of a job into its message, if it has at most 128 kB */
      readonly include_result?: boolean;
      readonly description?: string | null;
      /** To enable an endpoint makes it hear of what happens from now on */
      readonly status?: 'enabled' | 'disabled';
    };
    readonly answer: {
      /** whep_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'webhook_endpoint';
      readonly url: string;
      readonly events: readonly string[];
      readonly include_result: boolean;
      readonly description: string | null;
      readonly status: 'enabled' | 'disabled';
      /** `disabled_by_client`, `gone` (it answered 410) or `failing` (nothing but failure for 5 days) */
      readonly status_reason: string | null;
      /** The first failure since the last success */
      readonly failing_since: string | null;
      readonly created_at: string;
    };
  };
  /** Delete an endpoint, with its deliveries and their log */
  readonly 'DELETE /v1/webhook_endpoints/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: undefined;
  };
  /** Give an endpoint another secret */
  readonly 'POST /v1/webhook_endpoints/{id}/rotate_secret': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      readonly object: 'webhook_secret';
      /** `whsec_...` */
      readonly secret: string;
      readonly created_at: string;
      /** Until then the secret before it signs along, and messages have two signatures */
      readonly previous_expires_at: string | null;
    };
  };
  /** Send `webhook.test` to an endpoint, whatever its events */
  readonly 'POST /v1/webhook_endpoints/{id}/test': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** dlv_ and a UUIDv7: the `webhook-id` of all its attempts */
      readonly id: string;
      readonly object: 'delivery';
      readonly endpoint_id: string | null;
      /** The job's or batch's own webhook, where there is no endpoint */
      readonly url: string | null;
      readonly type: string;
      readonly sequence: number;
      readonly job_id: string | null;
      readonly batch_id: string | null;
      readonly status: 'pending' | 'succeeded' | 'failed';
      /** Of one that failed: `exhausted`, `gone`, `endpoint_disabled`, `endpoint_deleted` or `gave_up` (5 days under way) */
      readonly status_reason: string | null;
      readonly attempt_count: number;
      readonly next_attempt_at: string | null;
      readonly occurred_at: string;
      readonly created_at: string;
      readonly ended_at: string | null;
    };
  };
  /** Send again what failed in a window of time */
  readonly 'POST /v1/webhook_endpoints/{id}/recover': {
    readonly path: {
      readonly id: string;
    };
    readonly body: {
      /** Of the deliveries, when they were made */
      readonly since: string;
      /** Before then; now if left out */
      readonly until?: string;
      /** Only counts */
      readonly dry_run?: boolean;
    };
    readonly answer: {
      readonly object: 'recovery';
      readonly endpoint_id: string;
      readonly since: string;
      readonly until: string;
      readonly dry_run: boolean;
      /** How many were sent again, or would be */
      readonly deliveries: number;
      /** There may be more than one call sends again: call once more */
      readonly has_more: boolean;
    };
  };
  /** The tenant's default secret */
  readonly 'GET /v1/webhook_secret': {
    readonly answer: {
      readonly object: 'webhook_secret';
      /** `whsec_...` */
      readonly secret: string;
      readonly created_at: string;
      /** Until then the secret before it signs along, and messages have two signatures */
      readonly previous_expires_at: string | null;
    };
  };
  /** Give the tenant another default secret */
  readonly 'POST /v1/webhook_secret/rotate': {
    readonly answer: {
      readonly object: 'webhook_secret';
      /** `whsec_...` */
      readonly secret: string;
      readonly created_at: string;
      /** Until then the secret before it signs along, and messages have two signatures */
      readonly previous_expires_at: string | null;
    };
  };
  /** Messages and how they fare, newest first */
  readonly 'GET /v1/deliveries': {
    readonly query?: {
      /** Of this endpoint */
      readonly endpoint?: string;
      /** About this job */
      readonly job?: string;
      /** About this batch itself, not its jobs */
      readonly batch?: string;
      readonly status?: 'pending' | 'succeeded' | 'failed';
      readonly limit?: number;
      /** Older than this one: the `last_id` of the page before */
      readonly after?: string;
    };
    readonly answer: {
      readonly object: 'list';
      /** Newest first */
      readonly data: readonly {
        /** dlv_ and a UUIDv7: the `webhook-id` of all its attempts */
        readonly id: string;
        readonly object: 'delivery';
        readonly endpoint_id: string | null;
        /** The job's or batch's own webhook, where there is no endpoint */
        readonly url: string | null;
        readonly type: string;
        readonly sequence: number;
        readonly job_id: string | null;
        readonly batch_id: string | null;
        readonly status: 'pending' | 'succeeded' | 'failed';
        /** Of one that failed: `exhausted`, `gone`, `endpoint_disabled`, `endpoint_deleted` or `gave_up` (5 days under way) */
        readonly status_reason: string | null;
        readonly attempt_count: number;
        readonly next_attempt_at: string | null;
        readonly occurred_at: string;
        readonly created_at: string;
        readonly ended_at: string | null;
      }[];
      readonly has_more: boolean;
      readonly first_id: string | null;
      readonly last_id: string | null;
    };
  };
  /** A message with its attempts */
  readonly 'GET /v1/deliveries/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** dlv_ and a UUIDv7: the `webhook-id` of all its attempts */
      readonly id: string;
      readonly object: 'delivery';
      readonly endpoint_id: string | null;
      /** The job's or batch's own webhook, where there is no endpoint */
      readonly url: string | null;
      readonly type: string;
      readonly sequence: number;
      readonly job_id: string | null;
      readonly batch_id: string | null;
      readonly status: 'pending' | 'succeeded' | 'failed';
      /** Of one that failed: `exhausted`, `gone`, `endpoint_disabled`, `endpoint_deleted` or `gave_up` (5 days under way) */
      readonly status_reason: string | null;
      readonly attempt_count: number;
      readonly next_attempt_at: string | null;
      readonly occurred_at: string;
      readonly created_at: string;
      readonly ended_at: string | null;
      readonly attempts: readonly {
        readonly number: number;
        readonly at: string;
        /** `succeeded`: The receiver answered 2xx; `http_error`: The receiver answered 4xx or 5xx; `redirect`: The receiver answered 3xx; no redirect is followed; `rate_limited`: The receiver answered 429; `gone`: The receiver answered 410: it wants no more; `timed_out`: No whole answer came within the time; `connect_timed_out`: No connection, or no TLS, within the time; `connection_refused`: Nothing listens there; `connection_reset`: The receiver cut the connection; `unreachable`: There is no way to that address; `dns_failed`: The name has no address; `address_refused`: The address is not a public one, or the URL is not allowed; `tls_failed`: The certificate or the handshake is not right; `invalid_answer`: What came back is not HTTP */
        readonly outcome: string;
        readonly status_code: number | null;
        readonly latency_ms: number;
        readonly detail: string | null;
        /** The first kilobyte of the answer, if it was text; erased with the job or batch */
        readonly response_body: string | null;
      }[];
    };
  };
  /** Send a message that ended once more */
  readonly 'POST /v1/deliveries/{id}/replay': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** dlv_ and a UUIDv7: the `webhook-id` of all its attempts */
      readonly id: string;
      readonly object: 'delivery';
      readonly endpoint_id: string | null;
      /** The job's or batch's own webhook, where there is no endpoint */
      readonly url: string | null;
      readonly type: string;
      readonly sequence: number;
      readonly job_id: string | null;
      readonly batch_id: string | null;
      readonly status: 'pending' | 'succeeded' | 'failed';
      /** Of one that failed: `exhausted`, `gone`, `endpoint_disabled`, `endpoint_deleted` or `gave_up` (5 days under way) */
      readonly status_reason: string | null;
      readonly attempt_count: number;
      readonly next_attempt_at: string | null;
      readonly occurred_at: string;
      readonly created_at: string;
      readonly ended_at: string | null;
      readonly attempts: readonly {
        readonly number: number;
        readonly at: string;
        /** `succeeded`: The receiver answered 2xx; `http_error`: The receiver answered 4xx or 5xx; `redirect`: The receiver answered 3xx; no redirect is followed; `rate_limited`: The receiver answered 429; `gone`: The receiver answered 410: it wants no more; `timed_out`: No whole answer came within the time; `connect_timed_out`: No connection, or no TLS, within the time; `connection_refused`: Nothing listens there; `connection_reset`: The receiver cut the connection; `unreachable`: There is no way to that address; `dns_failed`: The name has no address; `address_refused`: The address is not a public one, or the URL is not allowed; `tls_failed`: The certificate or the handshake is not right; `invalid_answer`: What came back is not HTTP */
        readonly outcome: string;
        readonly status_code: number | null;
        readonly latency_ms: number;
        readonly detail: string | null;
        /** The first kilobyte of the answer, if it was text; erased with the job or batch */
        readonly response_body: string | null;
      }[];
    };
  };
  /** Everything that is stored about a person */
  readonly 'GET /v1/users/{user_id}/export': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: ExportLine;
  };
  /** Erase a person */
  readonly 'DELETE /v1/users/{user_id}': {
    readonly path: {
      readonly user_id: string;
    };
    readonly answer: {
      /** era_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'erasure';
      /** The job that was erased; null if it was a person */
      readonly job_id: string | null;
      /** The person, while the erasure is pending; null from then on, when nothing says whom it was about */
      readonly user_id: string | null;
      readonly status: 'pending' | 'completed';
      readonly requested_at: string;
      readonly completed_at: string | null;
      /** What is erased so far */
      readonly counts: {
        readonly jobs: number;
        readonly texts: number;
      };
      readonly links: {
        /** Readable for 365 days after it was completed */
        readonly self: string;
      };
    };
  };
  /** The receipt of an erasure, of a job or of a person */
  readonly 'GET /v1/erasures/{id}': {
    readonly path: {
      readonly id: string;
    };
    readonly answer: {
      /** era_ and a UUIDv7 */
      readonly id: string;
      readonly object: 'erasure';
      /** The job that was erased; null if it was a person */
      readonly job_id: string | null;
      /** The person, while the erasure is pending; null from then on, when nothing says whom it was about */
      readonly user_id: string | null;
      readonly status: 'pending' | 'completed';
      readonly requested_at: string;
      readonly completed_at: string | null;
      /** What is erased so far */
      readonly counts: {
        readonly jobs: number;
        readonly texts: number;
      };
      readonly links: {
        /** Readable for 365 days after it was completed */
        readonly self: string;
      };
    };
  };
  /** Can it accept jobs? */
  readonly 'GET /health': {
    readonly answer: {
      readonly status: 'ok' | 'unavailable';
      readonly checks: {
        readonly ledger: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
      };
    };
  };
  /** Can it accept jobs? */
  readonly 'GET /health/ready': {
    readonly answer: {
      readonly status: 'ok' | 'unavailable';
      readonly checks: {
        readonly ledger: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
      };
    };
  };
  /** Does the process turn? */
  readonly 'GET /health/live': {
    readonly answer: {
      readonly status: 'ok' | 'unavailable';
    };
  };
  /** How is each part? */
  readonly 'GET /health/detailed': {
    readonly answer: {
      readonly status: 'ok' | 'unavailable';
      readonly checks: {
        readonly ledger: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
        readonly redis: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
        readonly notifications: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
        readonly workers: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
        readonly dispatcher: {
          readonly status: 'ok' | 'unavailable';
          readonly reason?: string;
        };
      };
      readonly processes: readonly {
        readonly type: string;
        readonly host: string;
        readonly pid: number;
        readonly started_at: string;
        readonly seen_at: string;
        /** As the process tells, by its type */
        readonly info?: unknown;
      }[];
    };
  };
  /** Metrics in the Prometheus text format */
  readonly 'GET /metrics': {
    readonly answer: string;
  };
}

/** The fields that the answer of each call always has. */
export const answerFields: Readonly<Record<keyof Operations, readonly string[]>> = {
  'POST /v1/jobs': ['id', 'object', 'kind', 'status', 'status_reason', 'user_id', 'custom_id', 'metadata', 'tags', 'model', 'priority', 'created_at', 'queued_at', 'started_at', 'ended_at', 'not_before', 'deadline_at', 'expires_at', 'retry_of', 'batch_id', 'attempts', 'counts', 'queue', 'timing_ms', 'execution', 'error', 'result', 'links'],
  'GET /v1/jobs': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /v1/jobs/{id}': ['id', 'object', 'kind', 'status', 'status_reason', 'user_id', 'custom_id', 'metadata', 'tags', 'model', 'priority', 'created_at', 'queued_at', 'started_at', 'ended_at', 'not_before', 'deadline_at', 'expires_at', 'retry_of', 'batch_id', 'attempts', 'counts', 'queue', 'timing_ms', 'execution', 'error', 'result', 'links'],
  'DELETE /v1/jobs/{id}': ['id', 'object', 'job_id', 'user_id', 'status', 'requested_at', 'completed_at', 'counts', 'links'],
  'GET /v1/jobs/{id}/result': ['job_id', 'object', 'kind', 'model', 'counts', 'items'],
  'POST /v1/jobs/{id}/cancel': ['id', 'object', 'kind', 'status', 'status_reason', 'user_id', 'custom_id', 'metadata', 'tags', 'model', 'priority', 'created_at', 'queued_at', 'started_at', 'ended_at', 'not_before', 'deadline_at', 'expires_at', 'retry_of', 'batch_id', 'attempts', 'counts', 'queue', 'timing_ms', 'execution', 'error', 'result', 'links'],
  'POST /v1/jobs/{id}/retry': ['id', 'object', 'kind', 'status', 'status_reason', 'user_id', 'custom_id', 'metadata', 'tags', 'model', 'priority', 'created_at', 'queued_at', 'started_at', 'ended_at', 'not_before', 'deadline_at', 'expires_at', 'retry_of', 'batch_id', 'attempts', 'counts', 'queue', 'timing_ms', 'execution', 'error', 'result', 'links'],
  'GET /v1/jobs/{id}/events': [],
  'POST /v1/batches': ['id', 'object', 'status', 'end_reason', 'kind', 'model', 'priority', 'on_invalid', 'input_file_id', 'metadata', 'created_at', 'in_progress_at', 'cancel_requested_at', 'ended_at', 'deadline_at', 'expires_at', 'input', 'counts', 'error', 'errors', 'links'],
  'GET /v1/batches': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /v1/batches/{id}': ['id', 'object', 'status', 'end_reason', 'kind', 'model', 'priority', 'on_invalid', 'input_file_id', 'metadata', 'created_at', 'in_progress_at', 'cancel_requested_at', 'ended_at', 'deadline_at', 'expires_at', 'input', 'counts', 'error', 'errors', 'links'],
  'DELETE /v1/batches/{id}': ['id', 'object', 'deleted'],
  'GET /v1/batches/{id}/results': ['index', 'custom_id', 'status', 'job_id'],
  'GET /v1/batches/{id}/events': [],
  'POST /v1/batches/{id}/cancel': ['id', 'object', 'status', 'end_reason', 'kind', 'model', 'priority', 'on_invalid', 'input_file_id', 'metadata', 'created_at', 'in_progress_at', 'cancel_requested_at', 'ended_at', 'deadline_at', 'expires_at', 'input', 'counts', 'error', 'errors', 'links'],
  'POST /v1/files': ['id', 'object', 'filename', 'bytes', 'lines', 'sha256', 'created_at', 'expires_at', 'links'],
  'GET /v1/files': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /v1/files/{id}': ['id', 'object', 'filename', 'bytes', 'lines', 'sha256', 'created_at', 'expires_at', 'links'],
  'DELETE /v1/files/{id}': ['id', 'object', 'deleted'],
  'GET /v1/files/{id}/content': [],
  'POST /openai/v1/files': ['id', 'object', 'bytes', 'created_at', 'expires_at', 'filename', 'purpose', 'status'],
  'GET /openai/v1/files': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /openai/v1/files/{id}': ['id', 'object', 'bytes', 'created_at', 'expires_at', 'filename', 'purpose', 'status'],
  'DELETE /openai/v1/files/{id}': ['id', 'object', 'deleted'],
  'GET /openai/v1/files/{id}/content': [],
  'POST /openai/v1/batches': ['id', 'object', 'endpoint', 'model', 'errors', 'input_file_id', 'completion_window', 'status', 'output_file_id', 'error_file_id', 'created_at', 'in_progress_at', 'expires_at', 'completed_at', 'failed_at', 'expired_at', 'cancelling_at', 'cancelled_at', 'request_counts', 'metadata'],
  'GET /openai/v1/batches': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /openai/v1/batches/{id}': ['id', 'object', 'endpoint', 'model', 'errors', 'input_file_id', 'completion_window', 'status', 'output_file_id', 'error_file_id', 'created_at', 'in_progress_at', 'expires_at', 'completed_at', 'failed_at', 'expired_at', 'cancelling_at', 'cancelled_at', 'request_counts', 'metadata'],
  'POST /openai/v1/batches/{id}/cancel': ['id', 'object', 'endpoint', 'model', 'errors', 'input_file_id', 'completion_window', 'status', 'output_file_id', 'error_file_id', 'created_at', 'in_progress_at', 'expires_at', 'completed_at', 'failed_at', 'expired_at', 'cancelling_at', 'cancelled_at', 'request_counts', 'metadata'],
  'GET /v1/users/{user_id}/emotions': ['user_id', 'data', 'has_more', 'trajectory'],
  'GET /v1/users/{user_id}/profile': ['user_id', 'version', 'created_at', 'profile'],
  'GET /v1/users/{user_id}/profile/diff': ['user_id', 'from', 'to', 'diff'],
  'GET /v1/users/{user_id}/graph': ['user_id', 'nodes', 'edges', 'truncated'],
  'GET /v1/users/{user_id}/graph/paths': ['user_id', 'paths', 'explanation', 'confounders'],
  'GET /v1/users/{user_id}/graph/search': ['user_id', 'nodes'],
  'GET /v1/users/{user_id}/graph/neighbours': ['user_id', 'neighbours'],
  'GET /v1/users/{user_id}/graph/stats': ['user_id', 'store', 'nodes', 'edges', 'nodes_by_type', 'edges_by_type', 'top_concepts'],
  'GET /v1/users/{user_id}/graph/communities': ['user_id', 'communities', 'modularity', 'truncated'],
  'GET /v1/users/{user_id}/graph/contradictions': ['user_id', 'contradictions', 'truncated'],
  'POST /v1/users/{user_id}/graph/what-if': ['user_id', 'effects', 'assumptions', 'truncated'],
  'POST /api/emotions/analyze': [],
  'POST /api/emotions/batch': ['user_id'],
  'POST /api/reasoning/extract': ['user_id'],
  'POST /api/profile/generate': ['user_id'],
  'GET /api/emotions/history/{user_id}': ['user_id', 'history', 'trajectory'],
  'GET /api/reasoning/graph/{user_id}': ['user_id', 'nodes', 'edges'],
  'GET /api/profile/{user_id}': ['user_id', 'version', 'created_at', 'profile'],
  'GET /v1/webhook_endpoints': ['object', 'data'],
  'POST /v1/webhook_endpoints': ['id', 'object', 'url', 'events', 'include_result', 'description', 'status', 'status_reason', 'failing_since', 'created_at', 'secret'],
  'GET /v1/webhook_endpoints/{id}': ['id', 'object', 'url', 'events', 'include_result', 'description', 'status', 'status_reason', 'failing_since', 'created_at'],
  'PATCH /v1/webhook_endpoints/{id}': ['id', 'object', 'url', 'events', 'include_result', 'description', 'status', 'status_reason', 'failing_since', 'created_at'],
  'DELETE /v1/webhook_endpoints/{id}': [],
  'POST /v1/webhook_endpoints/{id}/rotate_secret': ['object', 'secret', 'created_at', 'previous_expires_at'],
  'POST /v1/webhook_endpoints/{id}/test': ['id', 'object', 'endpoint_id', 'url', 'type', 'sequence', 'job_id', 'batch_id', 'status', 'status_reason', 'attempt_count', 'next_attempt_at', 'occurred_at', 'created_at', 'ended_at'],
  'POST /v1/webhook_endpoints/{id}/recover': ['object', 'endpoint_id', 'since', 'until', 'dry_run', 'deliveries', 'has_more'],
  'GET /v1/webhook_secret': ['object', 'secret', 'created_at', 'previous_expires_at'],
  'POST /v1/webhook_secret/rotate': ['object', 'secret', 'created_at', 'previous_expires_at'],
  'GET /v1/deliveries': ['object', 'data', 'has_more', 'first_id', 'last_id'],
  'GET /v1/deliveries/{id}': ['id', 'object', 'endpoint_id', 'url', 'type', 'sequence', 'job_id', 'batch_id', 'status', 'status_reason', 'attempt_count', 'next_attempt_at', 'occurred_at', 'created_at', 'ended_at', 'attempts'],
  'POST /v1/deliveries/{id}/replay': ['id', 'object', 'endpoint_id', 'url', 'type', 'sequence', 'job_id', 'batch_id', 'status', 'status_reason', 'attempt_count', 'next_attempt_at', 'occurred_at', 'created_at', 'ended_at', 'attempts'],
  'GET /v1/users/{user_id}/export': [],
  'DELETE /v1/users/{user_id}': ['id', 'object', 'job_id', 'user_id', 'status', 'requested_at', 'completed_at', 'counts', 'links'],
  'GET /v1/erasures/{id}': ['id', 'object', 'job_id', 'user_id', 'status', 'requested_at', 'completed_at', 'counts', 'links'],
  'GET /health': ['status', 'checks'],
  'GET /health/ready': ['status', 'checks'],
  'GET /health/live': ['status'],
  'GET /health/detailed': ['status', 'checks', 'processes'],
  'GET /metrics': [],
};
