/** Collects one window of one cluster, for each message of the queue. An unreachable cluster is evidence and no failure; `plan` retries. */
import { type CollectedDue, collectDue } from '../lib/jobs/collect-window.ts'
import { dueWindowSchema } from '../lib/jobs/due-windows.ts'
import { readConfig } from '../lib/config.ts'
import { noteTrust } from '../lib/jobs/trust-note.ts'
import { UntrustedError } from '../lib/store/registry/trust.ts'
import { onQueue, setting } from './lambda.ts'
import { once } from '../lib/once.ts'

const keyId = setting(readConfig().trustKey, 'CIPHERTRAIL_TRUST_KEY')

/** The operators' signing key: requested once, and only its public part. */
const signer = once(async () => {
  const { kmsSigner } = await import('../lib/seal/key/kms.ts')
  return kmsSigner({ keyId, name: 'ciphertrail-trust' })
})

export const handler = onQueue(dueWindowSchema, async (message, { config, objects, version }, leftMs, isAgain) => {
  // Deriving from its stored evidence may have killed the last attempt. A killed worker is reported and counted, a killed function is not.
  if (isAgain) {
    const { withWorkers } = await import('./lambda-workers.ts')
    await withWorkers(objects, leftMs, (workers) => workers.derive(message))
  }
  const place = (config.store ?? '').split('?')[0]?.replace(/\/+$/, '') ?? ''
  const trust = noteTrust({ objects, signer, place })
  const places = { secrets: config.secrets?.split(/[\s,]+/) ?? [], never: [] }
  const collected = await collectDue(
    message,
    { collector: { name: 'ciphertrail', version }, now: () => new Date() },
    {
      objects,
      // The code that queries clusters is half of the bundle, and a repeated message queries none.
      open: async (cluster) => {
        await trust.check(cluster)
        const { openCluster } = await import('../lib/collect/cluster/open-cluster.ts')
        return openCluster(cluster, { environment: { ...config, places } })
      },
    },
  ).catch((error: unknown): CollectedDue => {
    // On every retry, until an operator trusts it.
    if (error instanceof UntrustedError) return { outcome: 'refused', error: error.message }
    throw error
  })
  const isNew = collected.outcome === 'collected'
  // Nothing else reports this for an agent's cluster.
  const isIncomplete = collected.outcome !== 'refused' && collected.complete === false
  return {
    logFields: { ...message, ...collected },
    counts: {
      Windows: isNew ? 1 : 0,
      IncompleteWindows: isIncomplete ? 1 : 0,
      RefusedWindows: collected.outcome === 'refused' ? 1 : 0,
    },
  }
})
