import { isAbsolute, join, relative, sep } from 'node:path';
import type { Workspace } from '../../../graph/index.ts';
import { UsageFault } from '../../usage.ts';

/** A file as a person names it, from the current folder or as an absolute path, relative to the workspace's root. */
export function workspacePath(workspace: Workspace, currentPackage: string, text: string): string {
  const absolute = isAbsolute(text) ? text : join(workspace.root, currentPackage, text);
  const path = relative(workspace.root, absolute).split(sep).join('/');
  if (path === '' || path === '..' || path.startsWith('../')) {
    throw new UsageFault('cli/wrong-use', `${text} is no file below ${workspace.root}`);
  }
  return path;
}
