import type { Objects } from '../../../lib/store/objects/objects.ts'
import { parseAddress } from '../../../lib/store/objects/s3/address.ts'
import { s3Objects } from '../../../lib/store/objects/s3/s3-objects.ts'
import type { S3Options } from '../../../lib/store/objects/s3/s3-objects.ts'

/** Opens the store at an address, on the server that the environment names; also in another process of the conformance suite. */
export function openStore(text: string, options: Partial<S3Options> = {}): Objects {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`Cannot open "${text}": it is a directory`)
  return s3Objects(address, { now: () => new Date(), isPathStyle: true, ...options })
}
