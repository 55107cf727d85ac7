import { clusterAccess } from '../../../local/index.ts';
import { type OpenOptions, registryTransport } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';

/** How an image that the command line names is opened. */
export function openOptions({ progress, signal }: CommandContext): OpenOptions {
  return {
    workspace: here,
    progress,
    signal,
    // The registry of the cluster on this machine has no name that anyone else could look up.
    async transportFor(reference) {
      if (!reference.startsWith('registry.local/')) return undefined;
      const { registry } = await clusterAccess(process.env.BANKSMAN_CLUSTER || 'local');
      return registry && registryTransport(registry);
    },
  };
}
