import type { CommandModule } from '../context.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** Every command, in the order in which `--help` shows them. A command's file has its name. */
export const commands: readonly CommandEntry[] = [
  { name: 'up', summary: 'start the Kubernetes cluster on this machine', load: () => import('./up.ts') },
  { name: 'down', summary: 'stop the cluster on this machine without a trace', load: () => import('./down.ts') },
  { name: 'status', summary: 'show the cluster, and every service with its pods', load: () => import('./status.ts') },
  { name: 'build', summary: 'build targets', load: () => import('./build.ts') },
  { name: 'test', summary: 'run tests', load: () => import('./test.ts') },
  { name: 'run', summary: 'build a program and run it', load: () => import('./run.ts') },
  {
    name: 'query',
    summary: 'ask the graph: targets, dependencies, what a change affects',
    load: () => import('./query/index.ts'),
  },
  {
    name: 'image',
    summary: 'list, inspect, compare, explain and sign images',
    load: () => import('./image/index.ts'),
  },
  {
    name: 'render',
    summary: "print a service's manifests with every image resolved",
    load: () => import('./render.ts'),
  },
  { name: 'release', summary: 'make releases of services from a commit', load: () => import('./release.ts') },
  { name: 'deploy', summary: 'build, push and roll out services', load: () => import('./deploy.ts') },
  { name: 'rollback', summary: 'bring the last good release of a service back', load: () => import('./rollback.ts') },
  {
    name: 'verify',
    summary: 'hold an image against a policy: who signed, built and reviewed it',
    load: () => import('./verify.ts'),
  },
  { name: 'keys', summary: 'make keys to sign images with', load: () => import('./keys.ts') },
  { name: 'review', summary: 'state who approved a commit, signed', load: () => import('./review.ts') },
  { name: 'history', summary: "show a service's releases in an environment", load: () => import('./history.ts') },
  {
    name: 'why',
    summary: 'say why a release is not there yet: each gate, and what would open it',
    load: () => import('./why.ts'),
  },
  {
    name: 'drift',
    summary: 'show what somebody changed by hand, field by field',
    load: () => import('./drift.ts'),
  },
  { name: 'promote', summary: 'ask the server for a release in an environment', load: () => import('./promote.ts') },
  {
    name: 'train',
    summary: 'promote all that is healthy, in the order in which services need each other',
    load: () => import('./train.ts'),
  },
  { name: 'remove', summary: 'take a service out of an environment', load: () => import('./remove.ts') },
  { name: 'diff', summary: 'compare two releases, or what two environments serve', load: () => import('./diff.ts') },
  { name: 'bisect', summary: 'find the first bad release', load: () => import('./bisect.ts') },
  { name: 'approve', summary: 'approve a release for an environment', load: () => import('./approve.ts') },
  {
    name: 'review-emergency',
    summary: 'say that a second person has looked at an emergency',
    load: () => import('./review-emergency.ts'),
  },
  { name: 'hold', summary: 'pause automatic rollouts of a service', load: () => import('./hold.ts') },
  { name: 'holds', summary: 'show what is held, by whom and why', load: () => import('./holds.ts') },
  { name: 'lift', summary: 'end a hold', load: () => import('./lift.ts') },
  { name: 'rollouts', summary: 'show rollouts that are under way or wait', load: () => import('./rollouts.ts') },
  { name: 'cancel', summary: 'stop a rollout', load: () => import('./cancel.ts') },
  { name: 'environments', summary: "show the server's environments", load: () => import('./environments.ts') },
  { name: 'server', summary: 'serve releases, gates and the record over HTTP', load: () => import('./server.ts') },
  { name: 'webhook', summary: 'tell others of what happens', load: () => import('./webhook.ts') },
  { name: 'audit', summary: 'read and verify the audit log', load: () => import('./audit.ts') },
  {
    name: 'evidence',
    summary: 'write down, and check, everything that is known of a rollout',
    load: () => import('./evidence.ts'),
  },
  { name: 'logs', summary: "print the logs of a service's pods", load: () => import('./logs.ts') },
  { name: 'kubectl', summary: 'run kubectl against the cluster', load: () => import('./kubectl.ts') },
  {
    name: 'completion',
    summary: 'print the completion of commands and labels for a shell',
    load: () => import('./completion.ts'),
  },
  { name: 'mirror', summary: 'copy images by digest between registries', load: () => import('./mirror.ts') },
  {
    name: 'registry',
    summary: 'serve a registry of images, list it, check it, free its space',
    load: () => import('./registry.ts'),
  },
  { name: 'lock', summary: 'write lock files for what comes from outside', load: () => import('./lock/index.ts') },
];
