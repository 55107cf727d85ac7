import type { Target } from '../../graph/index.ts';
import type { PackageRequest } from '../../image/index.ts';
import { badRule, configOf, readText } from './action-config.ts';

/** Whether a target is one Debian package; see src/rules/debian.build_defs. */
export function isPackage({ action }: Target): boolean {
  return action.kind === 'builtin' && action.name === 'debian_package';
}

/** What its lock says. @throws ReleaseFault release/bad-rule */
export function packageOf(target: Target): {
  readonly suite: string;
  /** What its lock is for; the package itself may be for all. */
  readonly lockArchitecture: string;
  readonly request: PackageRequest;
  readonly scriptsByHand: boolean;
} {
  const config = configOf(target);
  const size = config.size;
  if (typeof size !== 'number') throw badRule(target, 'size is not a number');
  return {
    suite: readText(config, 'suite', target),
    lockArchitecture: typeof config.lock_architecture === 'string' ? config.lock_architecture : '',
    scriptsByHand: config.scripts_by_hand === true,
    request: {
      name: readText(config, 'name', target),
      version: readText(config, 'version', target),
      architecture: readText(config, 'architecture', target),
      sha256: readText(config, 'sha256', target),
      size,
    },
  };
}
