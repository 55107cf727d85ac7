import type { Place } from '../../fault/index.ts';
import { nearest } from '../../fault/index.ts';
import { GraphFault } from '../fault.ts';
import { readText } from '../files/data-file.ts';
import { buildFileOf } from '../files/glob.ts';
import type { SourceTree } from '../files/tree.ts';
import { builtFolderOf, builtPartOf } from '../names/label.ts';
import { childPath, lastPart, parentPath } from '../paths.ts';
import type { Label, PleaseConfig, Workspace } from '../types.ts';
import { type PluginAtHand, readPleaseConfig } from '../workspace/please-config.ts';
import { pleaseConfigFiles } from '../workspace/please-files.ts';

/** A repository inside the workspace, or one that a target makes. */
export interface Subrepo {
  /** With the package that declares it in front: `third_party/x`. */
  readonly name: string;
  /** Its folder in the workspace; one that stands for it (`builtFolderOf`) where its files are made by a build. */
  readonly folder: string | undefined;
  /** The target that makes its files. */
  readonly dep?: Label;
  /** A file in it whose settings come before those of its `.plzconfig`. */
  readonly config?: string;
  readonly plugin: boolean;
  readonly place: Place;
  /** It is the workspace itself, for another system: `linux_x86`. */
  readonly system?: string;
  /**
   * Its targets are made in the package that declares it, which is known without any file of the repository: true where each has a
   * name of its own (`besideName`), the name of one that stands for all of them otherwise.
   */
  readonly beside?: true | string;
}

/** Plugins of Please whose rules are built in. */
const builtinPlugins = ['go', 'java', 'python', 'shell', 'sh', 'docker', 'k8s'];

/** Names that Please gives to the workspace itself, seen from each system. */
const system = /^(?:linux|darwin|freebsd|windows)_(?:amd64|arm64|x86|arm|386)$/;
export const hostSystem = `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;

/** Calls by which a BUILD file declares subrepos. */
const declaration = /\b(?:subrepo|\w*local_repository|\w*http_archive|github_repo|gitlab_repo|plugin_repo)\s*\(/;

/** The repositories of a workspace: itself, and the subrepos that its BUILD files and its settings declare. */
export class Subrepos {
  private readonly workspace: Workspace;
  private readonly tree: SourceTree;
  private readonly loadPackage: (name: string) => unknown;
  private readonly declared = new Map<string, Subrepo>();
  /** Whether the BUILD file of a folder declares any, by the folder. */
  private readonly declaring = new Map<string, boolean>();

  constructor(workspace: Workspace, tree: SourceTree, loadPackage: (name: string) => unknown) {
    this.workspace = workspace;
    this.tree = tree;
    this.loadPackage = loadPackage;
    for (const [name, folder] of Object.entries(workspace.subrepos ?? {})) {
      if (tree.kind(folder) !== 'folder') {
        throw new GraphFault('graph/missing-source', `the subrepo ${name} has no folder ${folder}`, {
          place: workspace.place,
          next: 'correct its path in banksman.yaml',
        });
      }
      this.declared.set(name, { name, folder, plugin: false, place: workspace.place });
    }
  }

  /** @throws GraphFault where there is another one of that name; what the workspace's settings say wins */
  declare(subrepo: Subrepo): void {
    const before = this.declared.get(subrepo.name);
    if (this.workspace.subrepos?.[subrepo.name] !== undefined) return;
    if (
      before !== undefined &&
      (before.place.file !== subrepo.place.file || before.place.line !== subrepo.place.line)
    ) {
      throw new GraphFault('graph/duplicate-target', `two subrepos are named ${subrepo.name}`, {
        place: subrepo.place,
        related: [{ message: 'the first one', place: before.place }],
        next: 'give one of them another name',
      });
    }
    if (subrepo.dep !== undefined && this.tree.kind(subrepo.folder!) !== undefined) {
      throw new GraphFault(
        'graph/duplicate-target',
        `${subrepo.folder} stands for the subrepo ${subrepo.name}, and is a folder`,
        {
          place: subrepo.place,
          next: 'give one of them another name',
        },
      );
    }
    this.declared.set(subrepo.name, subrepo);
    if (subrepo.dep !== undefined) this.hasBuilt = true;
  }

  /** Whether there are any whose files are built. */
  hasBuilt = false;

  /** The subrepo with built files that a package lies in; undefined where it lies in none. */
  builtAround(packageName: string): Subrepo | undefined {
    const name = builtPartOf(packageName)?.subrepo;
    const found = name === undefined ? undefined : this.find(name);
    return found?.dep === undefined ? undefined : found;
  }

  /** Whether there are any that change what labels mean elsewhere. */
  get any(): boolean {
    for (const { beside } of this.declared.values()) if (beside === undefined) return true;
    return false;
  }

  /** Evaluates the packages above one that declare subrepos, so that it is known whether it lies in one. */
  declareAround(packageName: string, buildFiles: readonly string[], isOpen: (packageName: string) => boolean): void {
    for (let folder = packageName; folder !== ''; ) {
      folder = parentPath(folder);
      let declares = this.declaring.get(folder);
      if (declares === undefined) {
        const file = buildFileOf(this.tree, folder, buildFiles);
        declares = file !== undefined && declaration.test(readText(this.tree, file) ?? '');
        this.declaring.set(folder, declares);
      }
      // One that needs a package below it is in the middle of its own evaluation.
      if (!declares || isOpen(folder)) continue;
      this.loadPackage(folder);
    }
  }

  /** The repository that a package belongs to. Innermost of several. */
  repositoryOf(packageName: string): { readonly name: string; readonly folder: string } {
    let found = { name: '', folder: '' };
    for (const { name, folder } of this.declared.values()) {
      if (folder === undefined || folder.length <= found.folder.length) continue;
      if (packageName === folder || packageName.startsWith(`${folder}/`)) found = { name, folder };
    }
    return found;
  }

  /**
   * How the targets of a subrepo are named that are made beside it; undefined for any other subrepo.
   *
   * @param isOpen whether the package that declares it is being evaluated: what it declares is not all known then
   */
  besideOf(name: string, isOpen: (packageName: string) => boolean): true | string | undefined {
    if (this.workspace.subrepos?.[name] !== undefined) return undefined;
    if (this.declared.has(name)) return this.declared.get(name)!.beside;
    if (isOpen(parentPath(name))) return undefined;
    return this.find(name)?.beside;
  }

  /** @throws GraphFault where there is no such subrepo, or its files are not at hand */
  folderOf(name: string, isOpen: (packageName: string) => boolean): string {
    if (this.isWorkspace(name)) return '';
    if (name === hostSystem) return '';
    const subrepo = this.find(name);
    if (subrepo?.system !== undefined || (subrepo === undefined && this.isSystem(name))) {
      throw new GraphFault('graph/bad-label', `///${name} is this workspace for another system than ${hostSystem}`, {
        related: subrepo === undefined ? [] : [{ message: 'declared here', place: subrepo.place }],
        next: 'take it out, or leave the package out of what is loaded: programs are built for the machine that builds',
      });
    }
    if (subrepo === undefined && isOpen(parentPath(name))) {
      throw new GraphFault('graph/bad-label', `the subrepo ${name} is not declared yet`, {
        next: `put subrepo(name = "${lastPart(name)}", ...) above it; what makes a subrepo can't need a target of it`,
      });
    }
    if (subrepo === undefined) {
      const near = nearest(name, this.declared.keys());
      throw new GraphFault('graph/bad-label', `there is no subrepo ${name}`, {
        next:
          near === undefined
            ? `declare it in the BUILD file of //${parentPath(name)}: subrepo(name = "${lastPart(name)}", path = "...")`
            : `did you mean ${near}?`,
      });
    }
    return subrepo.folder ?? builtFolderOf(name);
  }

  /** A plugin's rules name one another by its name, in its own repository too. */
  private isWorkspace(name: string): boolean {
    return name === this.workspace.please?.plugin?.name && this.workspace.subrepos?.[name] === undefined;
  }

  private isSystem(name: string): boolean {
    return system.test(name) || this.tree.kind(`.plzconfig_${name}`) === 'file';
  }

  private find(name: string): Subrepo | undefined {
    if (this.workspace.subrepos?.[name] !== undefined) return this.declared.get(name);
    const target = this.workspace.please?.plugins[name]?.target;
    const full = target === undefined ? name : qualified(target);
    if (!this.declared.has(full)) this.loadPackage(parentPath(full));
    return this.declared.get(full);
  }

  /** The name of the plugin in `///go//build_defs:go` where the built-in rules stand in for it. */
  builtinPlugin(label: string): string | undefined {
    const name = /^(?:@|\/\/\/)([^:]*?)\/\//.exec(label)?.[1];
    if (name === undefined) return undefined;
    const short = lastPart(name);
    if (this.isWorkspace(name)) return undefined;
    if (!builtinPlugins.includes(short)) return undefined;
    const subrepo = this.find(name);
    if (subrepo === undefined) return this.workspace.please?.plugins[short] === undefined ? undefined : short;
    return subrepo.plugin && subrepo.dep !== undefined ? short : undefined;
  }

  /** Plugins that are at hand before anything is built, by their names. */
  pluginsAtHand(): Map<string, PluginAtHand> {
    const found = new Map<string, PluginAtHand>();
    const own = this.workspace.please?.plugin;
    if (own !== undefined) found.set(own.name, { plugin: own, subrepo: '' });
    const named = Object.entries(this.workspace.please?.plugins ?? {}).map(([name, { target }]) => {
      const subrepo = target === undefined ? undefined : this.find(name);
      return [name, subrepo?.dep === undefined ? subrepo?.folder : undefined] as const;
    });
    for (const [subrepo, folder] of [...Object.entries(this.workspace.subrepos ?? {}), ...named]) {
      const plugin = folder === undefined ? undefined : this.settingsIn(folder)?.plugin;
      if (plugin !== undefined) found.set(plugin.name, { plugin, subrepo });
    }
    return found;
  }

  /** What a subrepo's own `.plzconfig` says; undefined where it has none. */
  settingsIn(folder: string): PleaseConfig | undefined {
    const more = [...this.declared.values()].find((each) => each.folder === folder)?.config;
    const sources = [...(more === undefined ? [] : [more]), ...pleaseConfigFiles()].flatMap((name) => {
      const file = childPath(folder, name);
      const text = readText(this.tree, file);
      return text === undefined ? [] : [{ file, text, internal: false }];
    });
    return sources.length === 0 ? undefined : readPleaseConfig(sources);
  }
}

/** `//plugins:go` as the name of a subrepo: `plugins/go`. */
function qualified(target: string): string {
  return childPath(
    target.replace(/^\/\//, '').replace(/:.*/, ''),
    target.includes(':') ? target.replace(/.*:/, '') : lastPart(target),
  );
}
