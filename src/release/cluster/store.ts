import type { Label } from '../../graph/index.ts';
import type { ServiceRecord } from './record.ts';

/** Where records are kept. In the environment's cluster for now; a server's database can take its place. */
export interface ReleaseStore {
  /** An empty record for a service that was never deployed. */
  read(service: Label): Promise<ServiceRecord>;
  /**
   * Replaces a record by what `change` makes of it. Where somebody else wrote it meanwhile, it is read and changed again: `change`
   * is a function of the record alone, and may throw to leave it as it is.
   *
   * @param isNew there is most likely none: it is not looked for first
   */
  update(service: Label, change: (record: ServiceRecord) => ServiceRecord, isNew?: boolean): Promise<ServiceRecord>;
}
