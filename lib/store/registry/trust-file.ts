import canonicalize from 'canonicalize'
import * as z from 'zod'
import { parseJson } from '../../text/parse-json.ts'
import { isClusterId } from '../keys.ts'
import { changePrivateFile, readPrivateFile, unusable } from '../objects/private-file.ts'
import { type Trust, checkConnection, connectionHash } from './trust.ts'

const WHAT = 'vouches for clusters'

const fileSchema = z.strictObject({
  format: z.literal('ciphertrail/trust/1'),
  /** Hash of each cluster's connection, by its id. */
  ways: z.record(z.string().refine(isClusterId), z.string().regex(/^[0-9a-f]{64}$/)),
})

type Ways = ReadonlyMap<string, string>

/** Trust in a file of the current user, which no other user may read or write. It is created with the first cluster. */
export function fileTrust(path: string): Trust {
  const waysIn = (body: Uint8Array | undefined): Ways => {
    if (body === undefined) return new Map()
    const parsed = fileSchema.safeParse(parseJson(body))
    if (parsed.success) return new Map(Object.entries(parsed.data.ways))
    throw unusable(path, WHAT, 'it is damaged, move it away and run "ciphertrail cluster trust" again')
  }
  const change = (changed: (ways: Ways) => Ways): Promise<void> =>
    changePrivateFile(path, WHAT, (before) => {
      const ways = Object.fromEntries(changed(waysIn(before)))
      return `${canonicalize({ format: 'ciphertrail/trust/1', ways })}\n`
    })
  return {
    check: async (cluster) =>
      checkConnection(cluster, waysIn(await readPrivateFile(path, WHAT)).get(cluster.id), `"${path}"`),
    vouch: (clusters) =>
      change(
        (ways) => new Map([...ways, ...clusters.map((cluster) => [cluster.id, connectionHash(cluster)] as const)]),
      ),
    forget: (id) => change((ways) => new Map([...ways].filter(([known]) => known !== id))),
  }
}
