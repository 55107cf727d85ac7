import { ArgumentFault, GraphFault } from '../fault.ts';
import { builtFolderOf, parseLabel, splitLabel } from '../names/label.ts';
import { childPath, resolvePath } from '../paths.ts';
import type { Label } from '../types.ts';
import type { BuildCall } from './context.ts';
import { define } from './define.ts';
import { hostSystem } from './subrepos.ts';

/** `subrepo(name = "x", path = "vendor/x")`: the folder's packages are reached as `@x//package:name`. */
export const subrepo = define({
  name: 'subrepo',
  documentation:
    'Declares a repository of its own: labels in its BUILD files count from its folder, and others reach it as ///name//package:target or @name//package:target, where name has the declaring package in front. Its files are a folder of the workspace (path, from the root), or what a target of the package makes (dep), which is built when a package of it is wanted.',
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
  implementation: ([name, dep, path, config, , arch, plugin, packageRoot, beside], call) => {
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
    const own = childPath(context.package, name as string);
    const isPlugin = plugin !== false && plugin !== '';
    const settings = config === null ? {} : { config: config as string };
    const written = (packageRoot ?? path ?? '') as string;
    if (dep !== '') {
      const label = depOf(dep as string, own, call);
      const folder = builtFolderOf(own);
      context.declareSubrepo({
        name: own,
        folder,
        dep: label,
        plugin: isPlugin,
        place: call.outermost().place,
        ...settings,
      });
      return `///${own}`;
    }
    let folder = path === null ? own : resolvePath('', written);
    if (folder !== undefined && context.root !== '') folder = childPath(context.root, folder);
    if (folder === undefined || folder === '' || written.startsWith('/')) {
      throw new ArgumentFault(
        new GraphFault('graph/bad-target', `the path of the subrepo ${name} leads out of the workspace`, {
          next: 'name a folder of the workspace; files from elsewhere come in as a git submodule, a copy, or as what a target makes',
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
    context.declareSubrepo({
      name: own,
      folder,
      plugin: isPlugin,
      place: call.outermost().place,
      ...settings,
    });
    return `///${own}`;
  },
});

/** The target that makes a subrepo's files. @throws ArgumentFault where the package has not made it by then */
function depOf(text: string, subrepo: string, { context }: BuildCall): Label {
  let label: Label;
  try {
    label = parseLabel(text, context);
  } catch (error) {
    throw error instanceof GraphFault ? new ArgumentFault(error, text) : error;
  }
  const { package: packageName, name } = splitLabel(label);
  if (packageName !== context.package || context.targets?.has(name) !== false) return label;
  throw new ArgumentFault(
    new GraphFault('graph/missing-target', `the subrepo ${subrepo} is made of ${label}, which does not exist`, {
      next: 'make that target first: subrepo() names one that stands above it',
    }),
    text,
  );
}
