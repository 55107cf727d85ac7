import type { Builder, BuilderOptions } from './types.ts';

/** Runs the actions of one graph. */
export declare function createBuilder(options: BuilderOptions): Builder;
