import { openWorkspace } from '../graph/index.ts';
import { workspaceRegistries } from '../release/index.ts';

/** What the workspace says of registries, where there is one: what is in a registry can be looked at from anywhere. */
export async function registriesHere() {
  const workspace = await openWorkspace(process.cwd()).catch((error) => {
    if (error.code === 'graph/no-workspace') return undefined;
    throw error;
  });
  return workspace && workspaceRegistries(workspace);
}
