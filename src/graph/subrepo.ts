import { define } from './define.ts';
import { ArgumentFault, GraphFault } from './fault.ts';

import { childPath, resolvePath } from './paths.ts';
import { hostSystem } from './subrepos.ts';

/** `subrepo(name = "x", path = "vendor/x")`: the folder's packages are reached as `@x//package:name`. */
export const subrepo = define({
  name: 'subrepo',
  documentation:
    'Declares a repository of its own: labels in its BUILD files count from its folder, and others reach it as @name//package:target, where name has the declaring package in front. Its path counts from the root of the workspace.',
  parameters: [
    { name: 'name', type: 'str' },
    { name: 'dep', type: 'str', fallback: '' },
    { name: 'path', type: 'str', fallback: null },
    { name: 'config', type: 'str', fallback: null },
    { name: 'bazel_compat', type: 'bool', fallback: false },
    { name: 'arch', type: 'str', fallback: null },
    { name: 'plugin', type: 'bool|str', fallback: false },
    { name: 'package_root', type: 'str', fallback: null },
    // This product's own: its targets are made beside it, under names of their own, or one stands for all of them.
    { name: '_beside', type: 'bool|str', fallback: false },
  ],
  implementation: ([name, dep, path, , , arch, plugin, packageRoot, beside], call) => {
    const { context } = call;
    if (arch !== null) {
      // Only a target that is asked for there is missed.
      context.declareSubrepo({
        name: childPath(context.package, name as string),
        folder: arch === hostSystem ? '' : undefined,
        plugin: false,
        place: call.outermost().place,
        ...(arch !== hostSystem && { system: arch as string }),
      });
      return null;
    }
    if (beside !== false) {
      context.declareSubrepo({
        name: childPath(context.package, name as string),
        folder: undefined,
        plugin: false,
        place: call.outermost().place,
        beside: beside as true | string,
      });
      return null;
    }
    const written = (packageRoot ?? path ?? '') as string;
    let folder: string | undefined;
    if (dep === '') {
      folder = path === null ? childPath(context.package, name as string) : resolvePath('', written);
      if (folder !== undefined && context.root !== '') folder = childPath(context.root, folder);
      if (folder === undefined || folder === '' || written.startsWith('/')) {
        throw new ArgumentFault(
          new GraphFault('graph/bad-target', `the path of the subrepo ${name} leads out of the workspace`, {
            next: 'name a folder of the workspace; files from elsewhere come in as a git submodule or a copy',
          }),
          written,
        );
      }
      if (context.tree.kind(folder) !== 'folder') {
        throw new ArgumentFault(
          new GraphFault('graph/missing-source', `the subrepo ${name} has no folder ${folder}`, {
            next: 'create it, or correct the path',
          }),
          written,
        );
      }
    }
    context.declareSubrepo({
      name: childPath(context.package, name as string),
      folder,
      plugin: plugin !== false && plugin !== '',
      place: call.outermost().place,
    });
    return null;
  },
});
