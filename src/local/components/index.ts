import { apiserver } from './apiserver.ts';
import type { Component, Plan } from './component.ts';
import { containerd } from './containerd.ts';
import { controllerManager } from './controller-manager.ts';
import { etcd } from './etcd.ts';
import { kubelet } from './kubelet.ts';
import { portal } from './portal.ts';
import { proxy } from './proxy.ts';
import { scheduler } from './scheduler.ts';

/** All processes of a cluster but the anchor, which namespaces.ts makes, in the order in which they are shown. */
export function components(plan: Plan): Component[] {
  return [
    portal(plan),
    etcd(plan),
    apiserver(plan),
    controllerManager(plan),
    scheduler(plan),
    containerd(plan),
    kubelet(plan),
    proxy(plan),
  ];
}
