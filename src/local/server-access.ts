import { join } from 'node:path';
import { authorityPath, certificatePath, keyPath } from './keys.ts';
import { layoutOf } from './layout.ts';

/** Paths of a certificate in PEM, its key and the authority that it goes by. */
export interface KeyFiles {
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** What a cluster of this machine has for Banksman's own server as its pod, and for who calls that. */
export interface ServerAccess {
  /** The server's, for the names of its Service and for 127.0.0.1. */
  readonly tls: KeyFiles;
  /** For reading from `registry.local`, inside of the cluster too. */
  readonly registry: KeyFiles;
  /** Where the token of whoever uses this machine is kept. */
  readonly signInPath: string;
}

/** Of a cluster by its name, whether it is up or not. */
export function serverAccess(name?: string): ServerAccess {
  const layout = layoutOf(name);
  const files = (authority: 'server' | 'registry', leaf: 'server' | 'registry-reader'): KeyFiles => ({
    caPath: authorityPath(layout, authority),
    certPath: certificatePath(layout, leaf),
    keyPath: keyPath(layout, leaf),
  });
  return {
    tls: files('server', 'server'),
    registry: files('registry', 'registry-reader'),
    signInPath: join(layout.root, 'sign-in.json'),
  };
}
