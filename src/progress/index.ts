/**
 * How long work tells of itself. The library side calls, the command line draws; nothing below `cli`
 * writes to the terminal.
 */
export interface Progress {
  /** Begins a named piece of work, shown until `done` or `fail`. */
  begin(name: string): Task;
  /** A line that stays: a warning, or something that the person must know. */
  say(line: string): void;
}

export interface Task {
  /** What it is doing now; replaces the earlier text. */
  update(text: string): void;
  /** Ended well. Without a text nothing of it need stay on the screen. */
  done(text?: string): void;
  /** Ended badly; the error itself is thrown, not told here. */
  fail(text?: string): void;
}

const silentTask: Task = { update() {}, done() {}, fail() {} };

/** For tests and for programs that want only the result. */
export const silent: Progress = { begin: () => silentTask, say() {} };
