import { ImageFault } from './fault.ts';

/** As GOARCH and the OCI image-spec say it. */
export type Architecture = 'amd64' | 'arm64' | 'ppc64le' | 's390x' | 'riscv64';

const ofNode: Readonly<Record<string, Architecture>> = {
  x64: 'amd64',
  arm64: 'arm64',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
};

export function isArchitecture(text: string): text is Architecture {
  return (Object.values(ofNode) as string[]).includes(text);
}

/** This machine's. */
export function machineArchitecture(): Architecture {
  const found = ofNode[process.arch];
  if (found === undefined)
    throw new ImageFault('image/bad-layout', `no images can be made for a ${process.arch} machine`);
  return found;
}

/** What Debian calls it. */
export function debianArchitecture(architecture: Architecture): string {
  return architecture === 'ppc64le' ? 'ppc64el' : architecture;
}
