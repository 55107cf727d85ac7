import type { Place } from '../fault/index.ts';
import {
  type CompiledModule,
  createEvaluator,
  type Evaluator,
  LanguageFault,
  type Source,
  type Value,
} from '../language/index.ts';
import { baseConfig } from './config.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { readText } from './data-file.ts';
import { GraphFault } from './fault.ts';
import { buildFunctions, logFunctions } from './functions.ts';
import { buildFileOf, findPackages } from './glob.ts';
import { parseLabel, splitLabel } from './label.ts';
import { childPath } from './paths.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Package, RuleFile, Target, Workspace } from './types.ts';

export type LoadFault = GraphFault | LanguageFault;

export interface PackageOptions {
  readonly ruleFiles: readonly RuleFile[];
  readonly tree: SourceTree;
  readonly say: (line: string) => void;
}

/** Evaluates packages of one source tree, each once. */
export class PackageLoader {
  /** Packages that could not be evaluated, with the reason. */
  readonly faults = new Map<string, LoadFault>();
  private readonly workspace: Workspace;
  private readonly options: PackageOptions;
  private readonly evaluator: Evaluator<EvaluationContext>;
  private readonly config: ReturnType<typeof baseConfig>;
  private readonly packages = new Map<string, Package | undefined>();
  private readonly included = new Map<string, ReadonlyMap<string, Value>>();
  /** Files under evaluation, outermost first, to tell a circle. */
  private readonly open: string[] = [];

  /** @throws LanguageFault | GraphFault where the rules themselves are wrong */
  constructor(workspace: Workspace, options: PackageOptions) {
    this.workspace = workspace;
    this.options = options;
    this.config = baseConfig(workspace);
    this.evaluator = createEvaluator<EvaluationContext>({
      functions: buildFunctions,
      values: { log: logFunctions() },
      dynamic: { CONFIG: (context) => context.config },
    });
    for (const { path, source } of options.ruleFiles) {
      this.evaluator.preload(this.compile({ file: path, text: source, internal: true }), this.context('', undefined));
    }
    for (const path of workspace.buildDefs) {
      const text = readText(options.tree, path);
      if (text === undefined) {
        throw new GraphFault('graph/missing-source', `build_defs names ${path}, which does not exist`, {
          place: workspace.place,
        });
      }
      this.evaluator.preload(this.compile({ file: path, text, internal: false }), this.context('', undefined));
    }
  }

  /** Names of the packages in and below a folder. */
  find(folder: string): string[] {
    return findPackages(this.options.tree, folder, this.workspace.buildFiles);
  }

  /**
   * A package, evaluated; undefined where there is no such package, or its evaluation failed and the reason is among
   * the faults.
   */
  load(name: string): Package | undefined {
    if (this.packages.has(name) || this.faults.has(name)) return this.packages.get(name);
    const file = buildFileOf(this.options.tree, name, this.workspace.buildFiles);
    if (file === undefined) {
      this.packages.set(name, undefined);
      return undefined;
    }
    try {
      const targets = new Map<string, Target>();
      const text = readText(this.options.tree, file)!;
      this.inside(file, () =>
        this.evaluator.evaluate(this.compile({ file, text, internal: false }), this.context(name, targets)),
      );
      const loaded: Package = Object.freeze({ name, file, targets });
      this.packages.set(name, loaded);
      return loaded;
    } catch (error) {
      if (!(error instanceof GraphFault) && !(error instanceof LanguageFault)) throw error;
      this.faults.set(name, error);
      return undefined;
    }
  }

  private compile(source: Source): CompiledModule {
    return this.evaluator.compile(source);
  }

  private context(packageName: string, targets: Map<string, Target> | undefined): EvaluationContext {
    return {
      package: packageName,
      tree: this.options.tree,
      buildFiles: this.workspace.buildFiles,
      config: this.config,
      targets,
      subinclude: (label, call) => this.subinclude(parseLabel(label, packageName), call),
      say: this.options.say,
    };
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
    if (this.options.tree.kind(direct) === 'file') return this.include(direct, packageName);
    const names = new Map<string, Value>();
    for (const file of this.filesOf(label, call.place(), [])) {
      for (const [key, value] of this.include(file, packageName)) names.set(key, value);
    }
    return names;
  }

  private include(file: string, packageName: string): ReadonlyMap<string, Value> {
    let names = this.included.get(file);
    if (names === undefined) {
      const text = readText(this.options.tree, file);
      if (text === undefined) throw new GraphFault('graph/missing-source', `there is no file ${file} to include`);
      names = this.inside(file, () =>
        this.evaluator.evaluate(this.compile({ file, text, internal: false }), this.context(packageName, undefined)),
      );
      this.included.set(file, names);
    }
    return names;
  }

  /** Source files behind a target: evaluation can't wait for a build. */
  private filesOf(label: Label, place: Place, path: readonly Label[]): string[] {
    if (path.includes(label))
      throw new GraphFault('graph/cycle', `${label} is made of itself`, { notes: [[...path, label].join(' needs ')] });
    const { package: packageName, name } = splitLabel(label);
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
        loaded === undefined ? `there is no package //${packageName}` : `${loaded.file} makes no target ${name}`;
      throw new GraphFault('graph/subinclude', `${label} can't be included: ${what}`, {
        next: `name a target, or a file: //${packageName}:${name.includes('.') ? name : `${name}.build_defs`}`,
      });
    }
    if (target.action.kind !== 'filegroup') {
      throw new GraphFault(
        'graph/subinclude',
        `${label} can't be included: it is built, and BUILD files are read before anything is`,
        {
          related: [{ message: 'the target', place: target.place }],
          next: 'include source files, or a filegroup of them',
        },
      );
    }
    return target.srcs.all.flatMap((input) =>
      input.kind === 'file'
        ? [input.path]
        : input.kind === 'label'
          ? this.filesOf(input.label, place, [...path, label])
          : [],
    );
  }
}
