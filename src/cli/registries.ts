import { openWorkspace } from '../graph/index.ts';

/** What the workspace says of registries, where there is one: what is in a registry can be looked at from anywhere. */
export async function registriesHere() {
  const workspace = await openWorkspace(process.cwd()).catch((error) => {
    if (error.code === 'graph/no-workspace') return undefined;
    throw error;
  });
  if (workspace?.registries === undefined) return undefined;
  // Loaded where it is needed: a copy takes as little memory as it can.
  const { workspaceRegistries } = await import('../release/index.ts');
  return workspaceRegistries(workspace);
}
