/** A program of the system that actions use. */
export interface Tool {
  readonly name: string;
  /** Absolute, symbolic links followed. */
  readonly path: string;
  /** Names the program's content: part of the key of each action that uses it. */
  readonly identity: string;
}

/**
 * Finds a program of the system: first on the fixed PATH of actions, then (compilers such as `go` live in unusual
 * places) on the user's own.
 *
 * @throws BuildFault build/tool-not-found with what to install
 */
export declare function resolveTool(name: string): Promise<Tool>;
