import { type Checkpoint, coveringCheckpoint, entriesBetween, readEntries } from '../../audit/index.ts';
import type { Database } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { publicKeyPem } from '../../image/index.ts';
import { packRelease, type ReleaseContent, type ReleaseImage } from '../artifact/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { PlacementStore } from '../placement/index.ts';
import { policyOf } from '../proof/check.ts';
import type { PinnedPolicy } from '../proof/policies.ts';
import { type EvidenceParts, type EvidenceStatement, evidenceFormat, howToCheck } from './document.ts';

export interface EvidenceSources {
  readonly database: Database;
  readonly store: PlacementStore;
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  /** What stands beside an image in the environment's registry. */
  readonly statementsOn: (
    environment: Environment,
    image: ReleaseImage,
    signal: AbortSignal,
  ) => Promise<readonly EvidenceStatement[]>;
  readonly policies: ReadonlyMap<string, PinnedPolicy>;
}

/** Entries of the log in one evidence. */
const maximumEntries = 100_000;

/**
 * Gathers everything that is known of a rollout: from the audit log, the database and the registry.
 *
 * @throws ReleaseFault release/unknown-rollout, release/too-much-evidence; what the registry throws
 */
export async function gatherEvidence(
  sources: EvidenceSources,
  about: { readonly service: Label; readonly environment: Environment; readonly rollout: string },
  made: { readonly by: string; readonly at: number },
  signal: AbortSignal,
): Promise<EvidenceParts> {
  const { database, store, fetchRelease, statementsOn, policies } = sources;
  const { service, environment } = about;
  const placement = await store.read(service, environment.name);
  const rollout = placement.rollouts.find(({ id }) => id === about.rollout);
  const known = (await store.releases(service)).find(({ id }) => id === rollout?.release.id);
  if (rollout === undefined || known === undefined) {
    throw new ReleaseFault(
      'release/unknown-rollout',
      `${service} has no rollout ${about.rollout} in ${environment.name}`,
      {
        next: `see banksman history ${service} --env ${environment.name}`,
      },
    );
  }
  const content = await fetchRelease(known.reference, signal);
  const { digest, manifest, blobs } = packRelease(content);
  if (digest !== known.id) {
    throw new ReleaseFault('release/bad-artifact', `the registry has another release under ${known.reference}`);
  }
  const digests = [...new Map(content.images.map((image) => [image.digest, image])).values()];
  const images = await Promise.all(
    digests.map(async (image) => ({
      digest: image.digest,
      statements: await statementsOn(environment, image, signal),
    })),
  );
  const file = policyOf(environment);
  const pinned = file === undefined ? undefined : policies.get(file);
  const log = await logOf(database, service, environment.name, known.id);
  return {
    format: evidenceFormat,
    howToCheck,
    about: {
      service,
      environment: environment.name,
      rollout: rollout.id,
      release: known.id,
      madeAt: new Date(made.at).toISOString(),
      madeBy: made.by,
    },
    log,
    release: {
      reference: known.reference,
      manifest: manifest.toString('base64'),
      blobs: blobs.map((blob) => blob.toString('base64')),
    },
    images,
    ...(pinned !== undefined && {
      policy: {
        file: pinned.policy.file,
        text: pinned.text,
        keys: Object.fromEntries([...pinned.policy.keys].map(([name, key]) => [name, publicKeyPem(key)])),
      },
    }),
    tests: await store.testReports(known.id),
  };
}

/** Entries from the release's first one up to the placement's last, and on to the checkpoint that covers that. */
async function logOf(
  database: Database,
  service: Label,
  environment: string,
  release: string,
): Promise<EvidenceParts['log']> {
  const numbers = async (subject: string, wanted: (after: Record<string, unknown>) => boolean) => {
    const found: number[] = [];
    for (let after = 0; ; ) {
      const page = await readEntries(database, { subject, after, limit: 1000 });
      for (const { number, event } of page) {
        if (wanted((event.after ?? {}) as Record<string, unknown>)) found.push(number);
      }
      const last = page.at(-1);
      if (last === undefined) return found;
      after = last.number;
    }
  };
  const own = await numbers(service, (after) => after.id === release || after.release === release);
  const there = await numbers(`${service} in ${environment}`, () => true);
  const from = own[0] ?? there[0] ?? 1;
  const to = Math.max(own.at(-1) ?? 0, there.at(-1) ?? 0, from);
  const checkpoint: Checkpoint | undefined = await coveringCheckpoint(database, to);
  const end = checkpoint?.number ?? to;
  if (end - from >= maximumEntries) {
    throw new ReleaseFault(
      'release/too-much-evidence',
      `the log has ${end - from} entries between the release and its end`,
      {
        next: 'make checkpoints more often: banksman audit checkpoint',
      },
    );
  }
  const entries = await entriesBetween(database, from, end);
  return { entries, ...(checkpoint !== undefined && { checkpoint }) };
}
