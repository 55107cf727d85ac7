import {
  fetchBlob,
  formatReference,
  openProofRepository,
  type ProofRepository,
  parseReference,
} from '../../image/index.ts';
import { type RegistryReach, reachOf } from '../push.ts';
import type { EvidenceStatement } from './document.ts';

/** Bytes of all statements on one image: what is larger is not taken. */
const room = 64 * 1024 * 1024;

/** Every Sigstore bundle that stands beside an image, with the manifest that holds it: as the registry has it, nothing is checked. */
export async function statementsBeside(
  reference: string,
  digest: string,
  reach: RegistryReach,
  signal: AbortSignal,
): Promise<readonly EvidenceStatement[]> {
  const { registry, repository } = parseReference(reference);
  const access = { ...(await reachOf(reference, reach)), signal };
  const place = formatReference({ registry, repository });
  const opened: ProofRepository = await openProofRepository({ registry, repository }, 'pull', access);
  try {
    const found = (await opened.referrers(digest as `sha256:${string}`))
      .filter(({ artifactType }) => artifactType?.startsWith('application/vnd.dev.sigstore.bundle') === true)
      .toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
    const statements: EvidenceStatement[] = [];
    let left = room;
    for (const descriptor of found) {
      const manifest = Buffer.from((await opened.manifest(descriptor.digest)).bytes);
      const layer = (
        JSON.parse(manifest.toString('utf8')) as { layers?: { digest: `sha256:${string}`; size: number }[] }
      ).layers?.[0];
      if (layer === undefined) continue;
      left -= layer.size + manifest.length;
      if (left < 0) break;
      const bundle = Buffer.from(await fetchBlob({ ...access, reference: place, digest: layer.digest }));
      statements.push({ manifest: manifest.toString('base64'), bundle: bundle.toString('base64') });
    }
    return statements;
  } finally {
    opened.close();
  }
}
