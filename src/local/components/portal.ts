import { addresses, ports } from '../addresses.ts';
import type { Layout } from '../layout.ts';
import type { Settings } from '../settings.ts';
import { type Component, type ComponentName, goEnvironment, type Plan, probeSocket } from './component.ts';

export interface Endpoint {
  readonly side: 'host' | 'node';
  readonly network: 'tcp' | 'unix';
  readonly address: string;
}

/** One way through the portal, as its configuration has it (engine/portal/config.go). */
export interface Forward {
  readonly name: string;
  readonly listen: Endpoint;
  readonly dial: Endpoint;
}

export function portalConfigPath(layout: Layout): string {
  return `${layout.run}/portal.json`;
}

export function portalStatusPath(layout: Layout): string {
  return `${layout.run}/portal-status.json`;
}

export function portal({ layout, settings }: Plan): Component {
  return {
    name: 'portal',
    program: `${settings.engine.folder}/portal`,
    args: ['--netns', layout.netnsFile, '--config', portalConfigPath(layout), '--status', portalStatusPath(layout)],
    env: goEnvironment(layout, 50),
    inside: false,
    needs: ['anchor'],
    files: {},
    probe: { kind: 'portal', status: portalStatusPath(layout) },
  };
}

/** The forwards that every cluster has: the API for people, the registry for the node and its pods, and the supervisor's own ways in. */
export function fixedForwards(layout: Layout, settings: Settings): Forward[] {
  const loopback = (port: number): Endpoint => ({ side: 'node', network: 'tcp', address: `127.0.0.1:${port}` });
  const way = (name: ComponentName | 'dns', dial: Endpoint): Forward => ({
    name: `supervisor/${name}`,
    listen: { side: 'host', network: 'unix', address: probeSocket(layout, name) },
    dial,
  });
  return [
    {
      name: 'api',
      listen: { side: 'host', network: 'tcp', address: `127.0.0.1:${settings.apiPort}` },
      dial: loopback(ports.apiserver),
    },
    {
      name: 'registry',
      listen: loopback(ports.registry),
      dial: { side: 'host', network: 'unix', address: layout.registrySocket },
    },
    {
      name: 'registry-for-pods',
      listen: { side: 'node', network: 'tcp', address: `${addresses.node}:${ports.registry}` },
      dial: { side: 'host', network: 'unix', address: layout.registrySocket },
    },
    way('etcd', loopback(ports.etcd)),
    way('apiserver', loopback(ports.apiserver)),
    way('controller-manager', loopback(ports.controllerManager)),
    way('scheduler', loopback(ports.scheduler)),
    way('kubelet', loopback(ports.kubeletHealth)),
    way('proxy', loopback(ports.proxyHealth)),
    way('dns', { side: 'node', network: 'tcp', address: `${addresses.dns}:53` }),
  ];
}
