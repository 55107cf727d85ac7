import { join } from 'node:path';
import { ensureEngine } from './engine.ts';
import { LocalFault } from './fault.ts';
import { layoutOf } from './layout.ts';
import { readSettings } from './settings.ts';
import type { EngineRequest, Invocation } from './types.ts';

/**
 * kubectl of the engine, pointed at a cluster of this machine. Its cache lies with the cluster's state.
 *
 * @throws LocalFault local/not-up where there is no cluster of that name
 */
export async function kubectl(
  request: EngineRequest & { readonly name?: string; readonly args: readonly string[] },
): Promise<Invocation> {
  const layout = layoutOf(request.name);
  const settings = await readSettings(layout);
  if (!settings) {
    throw new LocalFault('local/not-up', `there is no cluster ${layout.name} on this machine`, {
      next: 'banksman up makes it',
    });
  }
  const engine = await ensureEngine(request);
  return {
    program: engine.engine,
    args: ['kubectl', ...request.args],
    env: { ...process.env, KUBECONFIG: layout.kubeconfig, KUBECACHEDIR: join(layout.root, 'kubectl-cache') },
  };
}
