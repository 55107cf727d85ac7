import type { Fault } from '../fault/index.ts';
import type { Graph, Input, Json, Label, Target } from '../graph/index.ts';
import type { Progress } from '../progress/index.ts';
import type { StandingRecord } from './standing-record.ts';

/** One file or folder that an action reads or has made. */
export interface BuiltFile {
  /** Relative to the scratch folder and to the output root: `bank/gateway/server`. */
  readonly path: string;
  /** Where it can be read now. Never to be written to. */
  readonly absolute: string;
  readonly kind: 'file' | 'folder';
  /** SHA-256 (hex) of a file's bytes, or of a folder's listing with all that is below it. */
  readonly sha256: string;
  readonly executable: boolean;
  /** Of a source that is read where it lies: the id that git gives to its bytes. Taking `sha256` reads the file. */
  readonly sourceId?: string;
  /** Of a source that is a symbolic link: what it says. All else here is of what it leads to. */
  readonly link?: string;
}

/** What stands behind one `Input` of a target: a source file is one file, a label all its outputs. */
export interface LaidInput {
  readonly input: Input;
  readonly files: readonly BuiltFile[];
}

export interface LaidInputs {
  readonly all: readonly LaidInput[];
  readonly named: Readonly<Record<string, readonly LaidInput[]>>;
}

/** A dependency with its outputs. */
export interface LaidDependency {
  readonly label: Label;
  /** Named by the target itself, or exported by one that is; false for what only `needsTransitiveDeps` brings. */
  readonly direct: boolean;
  readonly files: readonly BuiltFile[];
  readonly named: Readonly<Record<string, readonly BuiltFile[]>>;
}

/** What a built-in action is given. */
export interface BuiltinRequest {
  readonly target: Target;
  readonly config: Json;
  readonly srcs: LaidInputs;
  readonly tools: LaidInputs;
  /**
   * Outputs of the dependencies that the action sees: the direct ones and what these export, or with `needsTransitiveDeps`
   * all of them. A dependency comes before what depends on it.
   */
  readonly deps: readonly LaidDependency[];
  /** The outputs of a label among `srcs`, `deps` or `tools`. @throws BuildFault build/undeclared-input */
  outputsOf(label: Label): readonly BuiltFile[];
  /** An empty folder. An output `out` of the target is to be written at `<outputFolder>/<out>`, folders above it made. */
  readonly outputFolder: string;
  /** An empty folder for whatever else; removed afterwards. */
  readonly temporaryFolder: string;
  readonly signal: AbortSignal;
  /** Tells what the action is doing now, in a few words. */
  update(text: string): void;
  /** For what the person must know. */
  readonly progress: Progress;
  /** Lays out what `tools` say, for an action with `toolsOnDemand`. */
  layOutTools(): Promise<void>;
  /** Runs a program in the action's sandbox. @throws BuildFault build/action-failed with its last lines */
  run(request: ToolRequest): Promise<ToolOutput>;
  /** Where Banksman keeps what can be made again: for what is worth keeping between actions, such as a compiled library. */
  readonly cacheFolder: string;
}

export interface ToolRequest {
  /** Absolute path, or the name of a program on the fixed PATH. */
  readonly program: string;
  readonly args: readonly string[];
  /** Where it runs; the temporary folder unless told. */
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Further folders or files that it may read. Inputs' paths must be among them: nothing else of the disk is visible. */
  readonly readable?: readonly string[];
  /** Further folders that it may write to. */
  readonly writable?: readonly string[];
  /** May use the network. Only ever true where the target's `sandbox` is false. */
  readonly network?: boolean;
  /** Seconds; the target's own timeout unless told. */
  readonly timeout?: number;
}

export interface ToolOutput {
  readonly stdout: string;
  /** Standard output and standard error as they came. */
  readonly text: string;
}

/**
 * An action that is a function of this program instead of a command. It must make the same bytes from the same request,
 * wherever and whenever it runs.
 */
export interface BuiltinAction {
  /** Part of the action's key: a new version makes everything anew. */
  readonly version: string;
  /** Further facts that the outputs depend on, such as the version of a compiler on this machine. Part of the key. */
  key?(target: Target): Promise<string> | string;
  /**
   * Narrows what of a dependency the action reads: where the dependency has named outputs of this name, only these are
   * laid out and part of the key.
   */
  readonly dependencyOutputs?: string;
  /**
   * Sources that are files are not copied for it but read in the workspace. They may be edited meanwhile: then the result of the action
   * is not kept, and what the action itself keeps must be held against `BuiltFile.sourceId`.
   */
  readonly readsInPlace?: boolean;
  /** Its tools are laid out when it asks for them: large ones that it keeps by their sums, say. */
  readonly toolsOnDemand?: boolean;
  run(request: BuiltinRequest): Promise<void>;
}

export type BuiltinActions = Readonly<Record<string, BuiltinAction>>;

export interface BuilderOptions {
  readonly graph: Graph;
  /** The `builtin` actions by name. `languageActions` has those for Go, Java, Python and Maven. */
  readonly builtins: BuiltinActions;
  readonly progress: Progress;
  /**
   * Hashes of the graph's targets, where they are at hand: what stood with the same hash since the last build is then not looked at
   * again. `contentHash` is what they were made with.
   */
  readonly hashes?: {
    readonly of: (label: Label) => string;
    readonly contentHash: (path: string) => string | undefined;
  };
  /** What `beginStanding` gives, where it was begun before the graph was loaded. */
  readonly standing?: Promise<StandingRecord | undefined>;
  /** `cacheFolder('build')` unless told. */
  readonly cacheFolder?: string;
  /** Bytes that the cache may hold after a build; 20 GiB unless told. */
  readonly cacheLimit?: number;
  /** Actions at a time; the number of cores unless told. */
  readonly jobs?: number;
  /** `<workspace>/banksman-out` unless told. */
  readonly outputRoot?: string;
  /** Folder that has the graph's source files at their paths, where that is not the workspace itself; outputs go below it, too. */
  readonly sourceRoot?: string;
  /** Where `BANKSMAN_REMOTE_CACHE` and the remote cache's token are looked for; the process's own unless told. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Goes on with what doesn't depend on what failed; the faults are in the result in place of the first being thrown. */
  readonly keepGoing?: boolean;
}

export interface TestOptions extends RunOptions {
  /** Runs tests although they passed with the same inputs before. */
  readonly rerun?: boolean;
}

export interface BuiltTarget {
  readonly label: Label;
  /** Below banksman-out. In the order of the target's `outs`, then of its named outputs. */
  readonly outputs: readonly BuiltFile[];
  readonly named: Readonly<Record<string, readonly BuiltFile[]>>;
  /** The action ran now, or its result was had from the cache. */
  readonly how: 'ran' | 'cached';
  /** Why the action ran, for a person: `bank/gateway/main.go has changed`. Undefined where it was cached. */
  readonly why: string | undefined;
  /** Seconds that the action took when it ran. */
  readonly seconds: number;
}

export interface BuildResult {
  /** Those asked for, in that order; with `keepGoing` without the failed ones. */
  readonly targets: ReadonlyMap<Label, BuiltTarget>;
  /** Empty unless `keepGoing`. */
  readonly failures: readonly Fault[];
  /** Every action that ran, dependencies included, with the reason. */
  readonly ran: readonly { readonly label: Label; readonly why: string; readonly seconds: number }[];
  /** Count of actions whose result was had from the cache. */
  readonly cached: number;
  /** Count of those among them whose result came from the remote cache now. */
  readonly fetched: number;
}

export interface TestCase {
  readonly name: string;
  readonly suite: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  readonly message?: string;
  /** The end of what it printed, where its report says so. */
  readonly output?: string;
}

export interface TestedTarget {
  readonly label: Label;
  readonly status: 'passed' | 'failed';
  readonly cached: boolean;
  /** Why it was run, for a person. Undefined where its result was had from the cache. */
  readonly why: string | undefined;
  readonly attempts: number;
  readonly seconds: number;
  readonly cases: readonly TestCase[];
  /** Last part of what the test printed (at most 64 KiB). */
  readonly output: string;
  /** JUnit XML: `banksman-out/test/<package>/<name>.xml`. */
  readonly report: string;
  /** What the test has left of its `test_outputs`, below `banksman-out/test`. */
  readonly files: readonly string[];
  /** For a failed one: `build/test-failed` or `build/timed-out`. */
  readonly fault: Fault | undefined;
}

export interface TestResult {
  /** In the order asked for. A failed test is no thrown error: look at `status`. */
  readonly tests: ReadonlyMap<Label, TestedTarget>;
  /** Every action that ran to build them, with the reason. */
  readonly ran: BuildResult['ran'];
  /** What could not be built. Empty unless `keepGoing`. */
  readonly failures: readonly Fault[];
}

export interface Builder {
  /** @throws BuildFault of the first failure unless `keepGoing` */
  build(labels: readonly Label[], options?: RunOptions): Promise<BuildResult>;
  /** Runs those of the labels that are tests. @throws BuildFault where something can't be built, unless `keepGoing` */
  test(labels: readonly Label[], options?: TestOptions): Promise<TestResult>;
}
