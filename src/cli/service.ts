import type { Workspace } from '../graph/index.ts';
import { createWorkspaceBuilder, findService, type Service } from '../release/building/index.ts';
import type { CommandContext } from './context.ts';
import { here } from './workspace.ts';

/** The service that a person names by label, relative label or short name. */
export async function serviceNamed(
  text: string,
  context: CommandContext,
): Promise<{ workspace: Workspace; service: Service }> {
  const { workspace, currentPackage } = await here();
  const builder = await createWorkspaceBuilder(workspace, { progress: context.progress, signal: context.signal });
  const label = text.startsWith(':') ? `//${currentPackage}${text}` : text;
  return { workspace, service: findService(builder.services(), label) };
}
