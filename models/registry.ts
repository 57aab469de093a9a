// The kinds that exist and the model that a request means. Imported by the API, so nothing here loads a model.

import type { Analyzer, Kind } from './analyzer.ts';
import { embedding } from './embedding.ts';
import { emotion } from './emotion.ts';
import { profile, profileVersion } from './profile.ts';
import { reasoning } from './reasoning.ts';
import { listVersions, openArtifact } from './repository.ts';

export type { Kind };

const analyzers: readonly Analyzer[] = [emotion, reasoning, embedding];

/** A model as a job records it. `digest` is the sha256 of the weights, in hex; empty where there are none. */
export interface ModelReference {
  readonly kind: string;
  readonly version: string;
  readonly digest: string;
}

export interface Registry {
  readonly kinds: readonly Kind[];
  readonly analyzers: readonly Analyzer[];
  readonly models: readonly ModelReference[];
  readonly find: (kind: string) => Kind | undefined;
  /**
   * @param model `<kind>`, `<kind>@stable` (the newest version) or `<kind>@<version>`
   * @returns undefined if there is no such model of that kind.
   */
  readonly resolve: (kind: string, model?: string) => ModelReference | undefined;
}

/** @throws Error if a kind has no weights in `modelsDir`, or a manifest is malformed. */
export function createRegistry(modelsDir: string): Registry {
  const kinds: readonly Kind[] = [...analyzers, profile];
  const weighted = analyzers.flatMap(({ kind }) => {
    const versions = listVersions(modelsDir, kind);
    if (versions.length === 0) throw new Error(`no weights for kind ${kind} in ${modelsDir}`);
    return versions.map((version) => {
      const { manifest } = openArtifact(modelsDir, kind, version);
      return { kind, version, digest: manifest.model.sha256 };
    });
  });
  const models = [...weighted, { kind: profile.kind, version: profileVersion, digest: '' }];
  const stable = (kind: string) => models.filter((model) => model.kind === kind).at(-1);
  return {
    kinds,
    analyzers,
    models,
    find: (kind) => kinds.find((candidate) => candidate.kind === kind),
    resolve: (kind, model = kind) => {
      if (model === kind || model === `${kind}@stable`) return stable(kind);
      return models.find((candidate) => model === `${kind}@${candidate.version}` && candidate.kind === kind);
    },
  };
}
