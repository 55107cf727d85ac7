import { clusterAccess } from '../../../local/index.ts';
import { type OpenOptions, reachOf, workspaceRegistries } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';

/** How an image that the command line names is opened. */
export function openOptions({ progress, signal }: CommandContext): OpenOptions {
  return {
    workspace: here,
    progress,
    signal,
    async reach(reference) {
      const { workspace } = await here();
      // The registry of the cluster on this machine has no name that anyone else could look up.
      const own = reference.startsWith('registry.local/');
      const { registry } = own ? await clusterAccess(process.env.BANKSMAN_CLUSTER || 'local') : {};
      return reachOf(reference, { registry, registries: await workspaceRegistries(workspace) });
    },
  };
}
