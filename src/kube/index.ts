// The door of src/kube; grows.
export type * from './types.ts';
