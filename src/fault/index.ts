export type { FaultDetails, Place } from './fault.ts';
export { Fault, isFault } from './fault.ts';
export { codeFrame } from './frame.ts';
export { hide, withoutSecrets } from './hidden.ts';
export { nearest } from './nearest.ts';
export { faultToJson, renderFault } from './render.ts';
