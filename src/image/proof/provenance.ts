import type { Digest } from '../digest.ts';
import { hexOf } from '../digest.ts';
import { isObject, predicateTypes, type ResourceDescriptor, type Statement } from './statement.ts';

/** Names how `externalParameters` and the rest are to be read; docs/proof.md defines it. */
export const buildType = 'https://banksman.local/build/image/v1';

/** Builder of whoever has not said where it builds: on a laptop, say. */
export const unnamedBuilder = 'https://banksman.local/builder/unnamed';

/** How an image came to be. */
export interface BuildFacts {
  /** Repository without the registry: `bank/ledger`. */
  readonly name: string;
  readonly digest: Digest;
  readonly label: string;
  readonly workspace: string;
  readonly source: Source;
  /** `linux/amd64`; several of an index. */
  readonly platforms: readonly string[];
  /** Versions of compilers and of how layers are made, by the kind of action. */
  readonly toolchains: Readonly<Record<string, string>>;
  /** False where another build of the same would be other bytes: something was run whose output nobody holds to account. */
  readonly reproducible: boolean;
  /** Everything that was fetched, and images below. */
  readonly materials: readonly ResourceDescriptor[];
  readonly builder: Builder;
}

export interface Source {
  /** `git+https://git.example/bank`; undefined where the clone has no origin. */
  readonly uri?: string | undefined;
  /** Undefined where the workspace has no commit. */
  readonly commit?: string | undefined;
  readonly tree?: string | undefined;
  /** Files differed from the commit. */
  readonly edits: boolean;
}

export interface Builder {
  /** A URI. Only worth what the key is worth that signs the statement. */
  readonly id: string;
  readonly version: Readonly<Record<string, string>>;
  /** Names the run in the system that ran it. */
  readonly invocation?: string | undefined;
}

/**
 * SLSA v1.2, build provenance. There is no time in it: one commit, built by one builder with the same tools, has one provenance,
 * byte for byte, unless the builder names its run.
 */
export function provenanceOf(facts: BuildFacts): Statement {
  const { source, builder } = facts;
  const { uri, commit, tree, edits } = source;
  return {
    subject: [{ name: facts.name, digest: { sha256: hexOf(facts.digest) } }],
    predicateType: predicateTypes.provenance,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: {
          workspace: facts.workspace,
          label: facts.label,
          ...(uri !== undefined && { source: uri }),
          ...(commit !== undefined && { commit }),
          edits,
        },
        internalParameters: {
          platforms: facts.platforms,
          toolchains: facts.toolchains,
          reproducible: facts.reproducible,
        },
        resolvedDependencies: [
          ...(commit === undefined
            ? []
            : [
                {
                  name: 'source',
                  ...(uri !== undefined && { uri }),
                  digest: { gitCommit: commit, ...(tree !== undefined && { gitTree: tree }) },
                },
              ]),
          ...facts.materials,
        ],
      },
      runDetails: {
        builder: { id: builder.id, version: builder.version },
        ...(builder.invocation !== undefined && { metadata: { invocationId: builder.invocation } }),
      },
    },
  };
}

/** What a policy looks at in a provenance. */
export interface ReadProvenance {
  readonly buildType: string;
  readonly builder: string;
  readonly workspace: string | undefined;
  readonly label: string | undefined;
  readonly source: string | undefined;
  readonly commit: string | undefined;
  /** True unless it says that there were none. */
  readonly edits: boolean;
  /** Only where it says so. */
  readonly reproducible: boolean;
}

/** @returns undefined where the statement is no build provenance in the form of SLSA v1 */
export function readProvenance({ predicateType, predicate }: Statement): ReadProvenance | undefined {
  if (predicateType !== predicateTypes.provenance) return undefined;
  const { buildDefinition, runDetails } = predicate;
  if (!isObject(buildDefinition) || !isObject(runDetails)) return undefined;
  const { externalParameters, internalParameters } = buildDefinition;
  const { builder } = runDetails;
  if (!isObject(externalParameters) || !isObject(builder)) return undefined;
  const type = textOf(buildDefinition.buildType);
  const id = textOf(builder.id);
  if (type === undefined || id === undefined) return undefined;
  const { workspace, label, source, commit, edits } = externalParameters;
  return {
    buildType: type,
    builder: id,
    workspace: textOf(workspace),
    label: textOf(label),
    source: textOf(source),
    commit: textOf(commit),
    edits: edits !== false,
    reproducible: isObject(internalParameters) && internalParameters.reproducible === true,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
