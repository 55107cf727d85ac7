import { hash } from 'node:crypto';
import type { Place } from '../../fault/index.ts';
import {
  type CompiledModule,
  coreFunctions,
  createEvaluator,
  type Dict,
  type Evaluator,
  type FunctionValue,
  LanguageFault,
  type Source,
  type Value,
} from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import { readBuildFile, readText } from '../files/data-file.ts';
import { buildFileOf, findPackages } from '../files/glob.ts';
import type { MountedTree } from '../files/mounted-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { type History, openHistory } from '../git/history.ts';
import {
  checkPackageName,
  type LabelPattern,
  type LabelScope,
  packageLabel,
  parseLabel,
  parsePattern,
  splitLabel,
} from '../names/label.ts';
import { childPath, parentPath } from '../paths.ts';
import { defaultTimeouts } from '../timeouts.ts';
import type { Label, Package, PleaseConfig, RuleFile, Target, Workspace } from '../types.ts';
import type { PluginAtHand } from '../workspace/please-config.ts';
import { usualSums } from '../workspace/sums.ts';
import { baseConfig, configChanges, ownConfig, repositoryConfig } from './config.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { dependenciesOf } from './dependency.ts';
import { buildFunctions, logFunctions } from './functions.ts';
import { BuildNeeded, type BuiltIncludes } from './included.ts';
import { ReadingRecorder } from './record.ts';
import { type Subrepo, Subrepos } from './subrepos.ts';

const noEnvironment: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Functions whose outcome hangs on nothing but their arguments and the configuration, and that change no more than outputs,
 * commands and labels. What else a function calls may lead anywhere: to files, to other targets.
 */
const selfContained: ReadonlySet<string> = new Set([
  ...coreFunctions.map(({ name }) => name),
  ...['debug', 'info', 'notice', 'warning', 'error', 'fatal'].map((level) => `log.${level}`),
  ...['add_out', 'add_label', 'add_entry_point', 'add_licence', 'set_command'],
  ...['package_name', 'get_base_path', 'subrepo_name', 'workspace_label', 'canonicalise', 'decompose'],
  ...['looks_like_build_label', 'tag', 'join_path', 'basename', 'dirname', 'split_path', 'splitext'],
]);

export type LoadFault = GraphFault | LanguageFault;

export interface PackageOptions {
  readonly ruleFiles: readonly RuleFile[];
  readonly tree: MountedTree;
  readonly say: (line: string) => void;
  /**
   * What is known of built targets that are included or are subrepos. Where one is not in it, `BuildNeeded` is thrown; without it such a
   * target is a fault.
   */
  readonly built?: BuiltIncludes | undefined;
  /** False leaves out what `.plzconfig` has every BUILD file include: for what has to be built for that. */
  readonly preloads?: boolean;
}

/** Evaluates packages of one source tree, each once. */
export class PackageLoader {
  /** Packages that could not be evaluated, with the reason. */
  readonly faults = new Map<string, LoadFault>();
  private readonly workspace: Workspace;
  private readonly options: PackageOptions;
  private readonly evaluator: Evaluator<EvaluationContext>;
  private config: Dict;
  /** What preloaded files have made of CONFIG. */
  private readonly preloadedConfig: Dict = new Map();
  /** Of subrepos, by folder, and of which one of the workspace that was made. */
  private readonly configs = new Map<string, { readonly outer: Dict; readonly config: Dict }>();
  private plugins: ReadonlyMap<string, PluginAtHand> = new Map();
  /** What included files have made of CONFIG, by file. */
  private readonly configChanges = new Map<string, Dict>();
  private readonly packages = new Map<string, Package | undefined>();
  /** Packages evaluated or under evaluation, as their functions see them. */
  private readonly contexts = new Map<string, EvaluationContext & { readonly targets: Map<string, Target> }>();
  /** Packages whose evaluation has stopped because it needs outputs of a target that they had made by then. */
  readonly unfinished = new Map<string, Package>();
  private readonly included = new Map<string, ReadonlyMap<string, Value>>();
  private readonly preBuild = new Map<Label, FunctionValue>();
  private readonly postBuilds = new Map<Label, FunctionValue>();
  private readonly subrepos: Subrepos;
  private readonly unconfinedTargets: readonly LabelPattern[];
  private readonly history: History;
  /** Files under evaluation, outermost first, to tell a circle. */
  private readonly open: string[] = [];
  /** What each package looked at. */
  readonly recorder = new ReadingRecorder();
  /** The tree of the options, as evaluation sees it: noted is what it looks at. */
  private readonly tree: SourceTree;
  /** Whether something asked for more than the files of the tree: a branch's name, a tag, the output of a build. */
  usesHistory = false;
  private hadPreBuild = false;

  /** @throws LanguageFault | GraphFault where the rules themselves are wrong */
  constructor(workspace: Workspace, options: PackageOptions) {
    this.workspace = workspace;
    this.options = options;
    this.tree = this.recorder.noting(options.tree);
    this.subrepos = new Subrepos(workspace, options.tree, (name) => this.load(name));
    this.unconfinedTargets = (workspace.please?.unconfinedTargets ?? []).map((each) => parsePattern(each));
    this.config = baseConfig(workspace);
    this.history = openHistory(workspace.root, options.tree.commit);
    this.evaluator = createEvaluator<EvaluationContext>({
      functions: buildFunctions,
      values: { log: logFunctions() },
      dynamic: { CONFIG: (context) => context.config },
    });
    for (const { path, source } of options.ruleFiles) {
      this.evaluator.preloadFunctions({ file: path, text: source, internal: true }, this.context('', undefined));
    }
    for (const path of workspace.buildDefs) {
      const text = readText(this.tree, path);
      if (text === undefined) {
        throw new GraphFault('graph/missing-source', `build_defs names ${path}, which does not exist`, {
          place: workspace.place,
        });
      }
      this.preload({ file: path, text, internal: false });
    }
    this.plugins = this.subrepos.pluginsAtHand();
    if (this.plugins.size > 0) this.config = this.withChanges(baseConfig(workspace, this.plugins));
    const preloaded = options.preloads === false ? [] : (workspace.please?.preloadedSubincludes ?? []);
    if (preloaded.length > 0) {
      // As a file that includes them all, whose names every BUILD file then sees.
      const text = preloaded.map((label) => `subinclude(${JSON.stringify(label)})\n`).join('');
      // Named by what it is: its lines are not those of the settings.
      this.preload({ file: 'PreloadSubincludes of .plzconfig', text, internal: false });
    }
  }

  /** Set once packages were loaded that `find` leaves out: a look at the folders does not tell that they are wanted. */
  wentOut = false;

  /** Whether there are folders with packages that `find` leaves out. */
  get leavesOut(): boolean {
    return this.subrepos.hasBuilt || (this.workspace.please?.ignoredFolders.length ?? 0) > 0;
  }

  /** Names of the packages in and below a folder. */
  find(folder: string): string[] {
    const ignored = this.workspace.please?.ignoredFolders ?? [];
    const subrepo = this.subrepos.builtAround(folder);
    if (subrepo !== undefined) this.mount(subrepo);
    const found = findPackages(this.options.tree, folder, this.workspace.buildFiles);
    if (ignored.length === 0) return found;
    return found.filter((name) => !ignored.some((each) => name === each || name.startsWith(`${each}/`)));
  }

  /**
   * A package, evaluated; undefined where there is no such package, or its evaluation failed and the reason is among
   * the faults.
   */
  load(name: string): Package | undefined {
    if (this.packages.has(name) || this.faults.has(name)) return this.packages.get(name);
    try {
      const subrepo = this.subrepos.builtAround(name);
      if (subrepo !== undefined) this.mount(subrepo);
    } catch (error) {
      if (!(error instanceof GraphFault)) throw error;
      this.faults.set(name, error);
      return undefined;
    }
    this.subrepos.declareAround(name, this.workspace.buildFiles, (each) => this.isOpen(each));
    if (this.packages.has(name) || this.faults.has(name)) return this.packages.get(name);
    const file = buildFileOf(this.options.tree, name, this.workspace.buildFiles);
    if (file === undefined) {
      this.packages.set(name, undefined);
      return undefined;
    }
    try {
      checkPackageName(name, file);
      const targets = new Map<string, Target>();
      const text = readBuildFile(this.options.tree, file);
      this.recorder.inPackage(name, () =>
        this.inside(file, () => {
          const context = { ...this.context(name, targets), targets };
          this.contexts.set(name, context);
          this.evaluator.evaluate(this.compile({ file, text, internal: false }), context);
          this.sealPostBuilds(context, this.postBuilds);
        }),
      );
      const loaded: Package = Object.freeze({ name, file, targets });
      this.packages.set(name, loaded);
      this.unfinished.delete(name);
      return loaded;
    } catch (error) {
      if (error instanceof BuildNeeded) {
        const file = buildFileOf(this.options.tree, name, this.workspace.buildFiles)!;
        if (splitLabel(error.label).package === name) {
          this.unfinished.set(name, Object.freeze({ name, file, targets: this.contexts.get(name)!.targets }));
        }
        // What it has made so far is made again.
        this.contexts.delete(name);
      } else this.unfinished.delete(name);
      if (!(error instanceof GraphFault) && !(error instanceof LanguageFault)) throw error;
      this.faults.set(name, error);
      return undefined;
    }
  }

  /** Makes the names of a file known to all others, and what it makes of CONFIG theirs. */
  private preload(source: Source): void {
    const context = this.context('', undefined);
    this.evaluator.preload(this.compile(source), context);
    for (const [key, value] of configChanges(this.config, context.config)) this.preloadedConfig.set(key, value);
    this.config = this.withChanges(this.config);
  }

  private withChanges(config: Dict): Dict {
    return this.preloadedConfig.size === 0 ? config : new Map([...config, ...this.preloadedConfig]);
  }

  /** CONFIG of the repository that a package belongs to. */
  private configOf(packageName: string): Dict {
    if (!this.subrepos.any) return this.config;
    const { name, folder } = this.subrepos.repositoryOf(packageName);
    if (folder === '') return this.config;
    let known = this.configs.get(folder);
    if (known?.outer !== this.config) {
      const please = this.subrepos.settingsIn(folder);
      const config =
        please === undefined ? this.config : repositoryConfig(this.config, name, please, this.pluginsIn(name, please));
      known = { outer: this.config, config };
      this.configs.set(folder, known);
    }
    return known.config;
  }

  /** Plugins that a subrepo knows: itself among them, where it was built. */
  private pluginsIn(name: string, { plugin }: PleaseConfig): ReadonlyMap<string, PluginAtHand> {
    if (plugin === undefined || this.plugins.has(plugin.name)) return this.plugins;
    return new Map([...this.plugins, [plugin.name, { plugin, subrepo: name }]]);
  }

  /** What a file of a plugin that was built makes known to those that include it: the plugin's settings. */
  private givePluginConfig(packageName: string, into: EvaluationContext): void {
    const subrepo = this.subrepos.builtAround(packageName);
    if (subrepo === undefined || into.root === subrepo.folder) return;
    const plugin = this.subrepos.settingsIn(subrepo.folder!)?.plugin;
    const key = plugin?.name.toUpperCase();
    const settings = key === undefined ? undefined : this.configOf(packageName).get(key);
    if (settings !== undefined) into.config.set(key!, settings);
  }

  private compile(source: Source): CompiledModule {
    return this.evaluator.compile(source);
  }

  /**
   * Runs the `pre_build` functions of targets that have one, those of dependencies first. Everything that the targets
   * depend on has to be loaded.
   *
   * @returns the packages with targets that may have changed
   */
  runPreBuild(labels: Iterable<Label>): Set<string> {
    const changed = new Set<string>();
    if (this.preBuild.size === 0) return changed;
    this.hadPreBuild = true;
    const seen = new Set<Label>();
    const visit = (label: Label): void => {
      if (seen.has(label) || this.preBuild.size === 0) return;
      seen.add(label);
      const { package: packageName, name } = splitLabel(label);
      const target = this.packages.get(packageName)?.targets.get(name);
      if (target === undefined) return;
      for (const { label: next } of dependenciesOf(target)) visit(next);
      const callee = this.preBuild.get(label);
      if (callee === undefined) return;
      this.preBuild.delete(label);
      changed.add(packageName);
      const { file } = this.packages.get(packageName)!;
      const source = { file, text: readText(this.options.tree, file) ?? '', internal: false };
      try {
        const context = { ...this.contexts.get(packageName)!, complete: true };
        this.evaluator.invoke(callee, [name], context, source);
        this.sealPostBuilds(context, this.postBuilds);
      } catch (error) {
        if (error instanceof BuildNeeded) this.preBuild.set(label, callee);
        if (!(error instanceof GraphFault) && !(error instanceof LanguageFault)) throw error;
        this.faults.set(packageName, error);
      }
    };
    for (const label of labels) visit(label);
    return changed;
  }

  /**
   * Whether each package stands on its own: what it makes follows from its folder and from what it was recorded to look at.
   * Not so with subrepos, which change what labels mean, nor with functions that look at all of a target's dependencies, nor where
   * packages are wanted from folders that are left out.
   */
  get isSeparable(): boolean {
    const hasFunctions = this.hadPreBuild || this.preBuild.size > 0 || this.postBuilds.size > 0;
    return !this.usesHistory && !this.subrepos.any && !hasFunctions && !this.wentOut;
  }

  /** Whether there are subrepos that change what labels mean elsewhere. */
  get hasSubrepos(): boolean {
    return this.subrepos.any;
  }

  /** The `post_build` function that evaluation has found at a target. */
  postBuild(label: Label): FunctionValue | undefined {
    return this.postBuilds.get(label);
  }

  /**
   * Runs a `post_build` function on the targets of its package, in which it leaves its changes.
   *
   * @param printed what the target's action has printed
   * @returns such functions of targets that it made
   * @throws GraphFault | LanguageFault
   */
  runPostBuild(
    callee: FunctionValue,
    label: Label,
    printed: string,
    targets: Map<string, Target>,
  ): ReadonlyMap<Label, FunctionValue> {
    const { package: packageName, name } = splitLabel(label);
    const before = new Set(targets.keys());
    const own = targets.get(name)!;
    const preBuild = new Map<Label, FunctionValue>();
    const postBuild = new Map<Label, FunctionValue>();
    const context = {
      ...this.contexts.get(packageName)!,
      targets,
      preBuild,
      postBuild,
      complete: true,
      find: (other: Label) => {
        const { package: from, name: wanted } = splitLabel(other);
        return from === packageName ? targets.get(wanted) : this.evaluated(from)?.get(wanted);
      },
    };
    const source = this.sourceOf(packageName);
    // As Please has it: nothing printed is one empty line.
    const args = [name, printed.trim().split('\n')].slice(0, callee.parameters.length);
    this.evaluator.invoke(callee, args, context, source);
    for (const [made, each] of preBuild) this.evaluator.invoke(each, [splitLabel(made).name], context, source);
    for (const [made, target] of targets) {
      // A person finds it at the rule whose function made it.
      if (!before.has(made)) targets.set(made, Object.freeze({ ...target, rule: own.rule, place: own.place }));
    }
    this.sealPostBuilds(context, postBuild);
    return postBuild;
  }

  /** A package's targets, `pre_build` functions having run. @throws GraphFault where the package is wrong */
  evaluated(packageName: string): ReadonlyMap<string, Target> | undefined {
    try {
      return this.evaluatedNow(packageName);
    } catch (error) {
      if (!(error instanceof BuildNeeded)) throw error;
      throw new GraphFault(
        'graph/subinclude',
        `${packageLabel(packageName)} can't be read in the middle of a build: it includes ${error.label}, which is built`,
        {
          place: error.place,
          next: `name a target of ${packageLabel(packageName)} in the BUILD file, so that it is read first`,
        },
      );
    }
  }

  private evaluatedNow(packageName: string): ReadonlyMap<string, Target> | undefined {
    const loaded = this.load(packageName);
    if (loaded !== undefined && this.preBuild.size > 0) {
      // These look at all that targets depend on.
      const seen = new Set<Label>();
      const pending = [...loaded.targets.values()];
      for (const target of pending) {
        if (seen.has(target.label)) continue;
        seen.add(target.label);
        for (const { label } of dependenciesOf(target)) {
          const { package: from, name } = splitLabel(label);
          const dependency = this.load(from)?.targets.get(name);
          if (dependency !== undefined) pending.push(dependency);
        }
      }
      this.runPreBuild(seen);
    }
    const fault = this.faults.get(packageName);
    if (fault !== undefined) {
      throw new GraphFault('graph/missing-package', `${packageLabel(packageName)} can't be read: ${fault.message}`, {
        place: fault.place,
        others: [fault],
      });
    }
    return loaded?.targets;
  }

  private sourceOf(packageName: string): Source {
    const { file } = this.packages.get(packageName)!;
    return { file, text: readText(this.options.tree, file) ?? '', internal: false };
  }

  /** Notes at targets what their functions are: all names that these see have their values now. */
  private sealPostBuilds(
    context: EvaluationContext & { readonly targets: Map<string, Target> },
    functions: ReadonlyMap<Label, FunctionValue>,
  ): void {
    if (functions.size === 0) return;
    for (const [name, target] of context.targets) {
      const callee = functions.get(target.label);
      if (callee === undefined || target.postBuild !== undefined) continue;
      const source = { file: target.place.file, text: '', internal: false };
      const { text, natives } = this.evaluator.closure(callee, context, source);
      const postBuild = Object.freeze({
        definition: hash('sha256', text),
        open: [...natives].some((native) => !selfContained.has(native)),
      });
      context.targets.set(name, Object.freeze({ ...target, postBuild }));
    }
  }

  /** A label or pattern that a person gives may name a subrepo. */
  scope(packageName: string): LabelScope {
    const { folder } = this.subrepos.repositoryOf(packageName);
    return {
      package: packageName,
      root: folder,
      folderOf: (name) => this.subrepos.folderOf(name, (each) => this.isOpen(each)),
      besideOf: (name) => this.besideOf(name),
    };
  }

  private besideOf(name: string): true | string | undefined {
    const declaring = parentPath(name);
    // Which labels it means follows from that package.
    this.recorder.look(declaring);
    return this.subrepos.besideOf(name, (packageName) => this.isOpen(packageName));
  }

  /** Whether a package is being evaluated. */
  private isOpen(packageName: string): boolean {
    const file = this.fileOf(packageName);
    return file !== undefined && this.open.includes(file);
  }

  private context(packageName: string, targets: Map<string, Target> | undefined): EvaluationContext {
    const { please } = this.workspace;
    return {
      ...this.scope(packageName),
      tree: this.tree,
      buildFiles: this.workspace.buildFiles,
      config: ownConfig(this.configOf(packageName)),
      targets,
      env: please?.env ?? noEnvironment,
      passEnv: please?.passEnv ?? [],
      timeouts: please?.timeouts ?? defaultTimeouts,
      sums: please?.sums ?? usualSums,
      exitOnError: please?.exitOnError,
      unconfinedTargets: this.unconfinedTargets,
      preBuild: this.preBuild,
      postBuild: this.postBuilds,
      complete: false,
      find: (label) => this.targetOf(label),
      declareSubrepo: (subrepo) => this.declareSubrepo(subrepo),
      repositoryOf: (name) => this.subrepos.repositoryOf(name),
      history: () => this.allowedHistory(),
      subinclude: (label, call) => this.subincludeText(label, call),
      say: (line) => {
        this.recorder.say(line);
        this.options.say(line);
      },
    };
  }

  private allowedHistory(): History {
    this.usesHistory = true;
    if (this.workspace.please?.gitFunctions !== false) return this.history;
    throw new GraphFault('graph/git', 'functions of git are switched off', {
      next: 'take GitFunctions out of .plzconfig',
    });
  }

  /** @throws BuildNeeded where its files have to be built first; GraphFault where they can't be */
  private mount({ name, folder, dep, place }: Subrepo): void {
    // What comes out hangs on programs of this machine, too.
    this.usesHistory = true;
    if (this.options.tree.isMounted(folder!)) return;
    const known = this.options.built?.folders.get(dep!);
    if (known instanceof GraphFault) throw known;
    if (known !== undefined) {
      this.options.tree.mount(folder!, known);
      return;
    }
    if (this.options.built !== undefined) throw new BuildNeeded(dep!, place, name);
    throw new GraphFault(
      'graph/subinclude',
      `the files of the subrepo ${name} are built, and nothing is built to answer this`,
      {
        place,
        next: `add a copy or a git submodule of it, and name its folder in banksman.yaml: subrepos: { ${name}: folder }`,
      },
    );
  }

  private declareSubrepo(subrepo: Subrepo): void {
    this.subrepos.declare(subrepo);
    const { folder } = subrepo;
    // What stands in for its folder was never read as a part of the workspace.
    if (folder === undefined || subrepo.dep !== undefined) return;
    // What was read before as packages of the workspace is read again as what it is.
    for (const name of new Set([...this.packages.keys(), ...this.faults.keys()])) {
      if (name !== folder && !name.startsWith(`${folder}/`)) continue;
      this.packages.delete(name);
      this.faults.delete(name);
      this.contexts.delete(name);
    }
  }

  private targetOf(label: Label): Target | undefined {
    const { package: packageName, name } = splitLabel(label);
    this.recorder.look(packageName);
    const context = this.contexts.get(packageName);
    // While a package is evaluated it knows what it has made so far.
    if (context !== undefined && !this.packages.has(packageName) && context.targets.has(name)) {
      return context.targets.get(name);
    }
    const file = this.fileOf(packageName);
    if (context !== undefined && file !== undefined && this.open.includes(file)) {
      if (this.open.at(-1) === file) return undefined;
      throw new GraphFault('graph/cycle', `${this.open.at(-1)} asks for ${label}, whose package asks for it in turn`, {
        notes: [[...this.open.slice(this.open.indexOf(file)), file].join(' asks ')],
        next: 'move what they ask for into a package of its own',
      });
    }
    const loaded = this.load(packageName);
    const fault = this.faults.get(packageName);
    if (fault !== undefined) {
      throw new GraphFault('graph/subinclude', `${label} can't be looked at: its package has an error`, {
        others: [fault],
      });
    }
    return loaded?.targets.get(name);
  }

  private fileOf(packageName: string): string | undefined {
    return buildFileOf(this.options.tree, packageName, this.workspace.buildFiles);
  }

  private subincludeText(text: string, call: BuildCall): ReadonlyMap<string, Value> {
    // The built-in rules stand in for a plugin that would have to be fetched.
    const plugin = this.subrepos.builtinPlugin(text);
    if (plugin !== undefined) return new Map();
    return this.subinclude(parseLabel(text, call.context), call);
  }

  private inside<T>(file: string, body: () => T): T {
    const at = this.open.indexOf(file);
    if (at !== -1) {
      throw new GraphFault('graph/cycle', `${file} includes itself`, {
        notes: [[...this.open.slice(at), file].join(' includes ')],
      });
    }
    this.open.push(file);
    try {
      return body();
    } finally {
      this.open.pop();
    }
  }

  /** The names that a file of build_defs gives, or those of all files of a target. */
  private subinclude(label: Label, call: BuildCall): ReadonlyMap<string, Value> {
    const { package: packageName, name } = splitLabel(label);
    const direct = childPath(packageName, name);
    // A file can be named as it is, without a target around it.
    if (this.tree.kind(direct) === 'file') return this.include(direct, packageName, call.context);
    const names = new Map<string, Value>();
    for (const { path, text } of this.filesOf(label, call.place(), [])) {
      for (const [key, value] of this.include(path, packageName, call.context, text)) names.set(key, value);
    }
    return names;
  }

  /** @param known the text of a file that is no source */
  private include(
    file: string,
    packageName: string,
    into: EvaluationContext,
    known?: string,
  ): ReadonlyMap<string, Value> {
    let names = this.included.get(file);
    if (names === undefined) {
      names = this.recorder.inFile(file, () => {
        const text = known ?? readText(this.tree, file);
        if (text === undefined) throw new GraphFault('graph/missing-source', `there is no file ${file} to include`);
        const source = { file, text, internal: false };
        const context = this.context(packageName, undefined);
        const before = this.configOf(packageName);
        const found = this.inside(file, () => this.evaluator.evaluate(this.compile(source), context));
        this.configChanges.set(file, configChanges(before, context.config));
        return found;
      });
      this.included.set(file, names);
    }
    this.givePluginConfig(packageName, into);
    for (const [key, value] of this.configChanges.get(file) ?? []) into.config.set(key, value);
    this.recorder.include(file);
    return names;
  }

  /**
   * Files behind a target: source files as they are, others with their text.
   *
   * @throws BuildNeeded for one that has to be built first
   */
  private filesOf(label: Label, place: Place, path: readonly Label[]): { path: string; text?: string }[] {
    if (path.includes(label))
      throw new GraphFault('graph/cycle', `${label} is made of itself`, { notes: [[...path, label].join(' needs ')] });
    const { package: packageName, name } = splitLabel(label);
    this.recorder.look(packageName);
    const loaded = this.load(packageName);
    const fault = this.faults.get(packageName);
    if (fault !== undefined) {
      throw new GraphFault('graph/subinclude', `${label} can't be included: its package has an error`, {
        place,
        others: [fault],
      });
    }
    const target = loaded?.targets.get(name);
    if (target === undefined) {
      const what =
        loaded === undefined
          ? `there is no package ${packageLabel(packageName)}`
          : `${loaded.file} makes no target ${name}`;
      throw new GraphFault('graph/subinclude', `${label} can't be included: ${what}`, {
        next: `name a target, or a file: ${packageLabel(packageName)}:${name.includes('.') ? name : `${name}.build_defs`}`,
      });
    }
    const { action, outs } = target;
    if (action.kind === 'text' && !/\$\((?:out_)?(?:location|exe|dir|hash)/.test(action.content)) {
      return outs.map((out) => ({ path: `${outputPlace}/${childPath(packageName, out)}`, text: action.content }));
    }
    if (action.kind !== 'filegroup') return this.builtFilesOf(target, place);
    return target.srcs.all.flatMap((input) =>
      input.kind === 'file'
        ? [{ path: input.path }]
        : input.kind === 'label'
          ? this.filesOf(input.label, place, [...path, label])
          : [],
    );
  }

  private builtFilesOf({ label, place: declared }: Target, place: Place): { path: string; text: string }[] {
    // What comes out hangs on programs of this machine, too.
    this.usesHistory = true;
    const known = this.options.built?.texts.get(label);
    if (known instanceof GraphFault) throw known;
    if (known !== undefined) return known.map(({ path, text }) => ({ path: `${outputPlace}/${path}`, text }));
    if (this.options.built !== undefined) throw new BuildNeeded(label, place);
    throw new GraphFault(
      'graph/subinclude',
      `${label} can't be included: it is built, and nothing is built to answer this`,
      {
        related: [{ message: 'the target', place: declared }],
        next: 'include source files, or a filegroup of them',
      },
    );
  }
}

/** Where files that are built are said to be. */
const outputPlace = 'banksman-out/gen';
