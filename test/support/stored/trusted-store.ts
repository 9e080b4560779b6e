import { cpSync, existsSync } from 'node:fs'
import { readConfig } from '../../../lib/config.ts'
import { fileTrust } from '../../../lib/store/registry/trust-file.ts'
import { noteTrust } from '../../../lib/jobs/trust-note.ts'
import { kmsSigner } from '../../../lib/seal/key/kms.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'

/**
 * Vouches for every cluster of a store, as its operator would: with the key that the environment names, else in the file beside it. Tests that register past
 * the command line need it for what is opened by it.
 */
export async function vouchFor(place: string, objects: Objects): Promise<void> {
  const { trustKey: keyId } = readConfig()
  const trust =
    keyId === undefined
      ? fileTrust(`${place}.trust`)
      : noteTrust({
          objects,
          signer: () => kmsSigner({ keyId, name: 'ciphertrail-trust' }),
          place: place.split('?')[0] ?? '',
        })
  await trust.vouch(await readClusters({ objects }))
}

/** Copies a store with the file that vouches for what is registered in it. */
export function copyStore(from: string, to: string): void {
  cpSync(from, to, { recursive: true })
  if (existsSync(`${from}.trust`)) cpSync(`${from}.trust`, `${to}.trust`)
}
