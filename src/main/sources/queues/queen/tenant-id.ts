// A partition's name within the connection: its queue's and its own, as one can read and type it. It outlives the partition's
// row, which Queen removes and makes anew.
import { HeadwayError } from '../../../../contract/errors.ts';

/** "mail/Default". A name may hold any sign: "/" and "%" are written as in addresses. */
export const tenantIdOf = (queue: string, partition: string): string =>
  `${escaped(queue)}/${escaped(partition)}`;

/** Rejects with `bad-request` what is no such id. */
export function partitionOf(tenantId: string): { queue: string; partition: string } {
  const [queue, partition, ...more] = tenantId.split('/');
  if (queue === undefined || partition === undefined || more.length > 0)
    throw new HeadwayError('bad-request', `"${tenantId}" is no partition of Queen: "queue/partition".`);
  return { queue: plain(queue), partition: plain(partition) };
}

const escaped = (name: string): string => name.replace(/[%/]/g, (sign) => (sign === '%' ? '%25' : '%2F'));
const plain = (name: string): string => name.replace(/%25|%2F/g, (sign) => (sign === '%25' ? '%' : '/'));
