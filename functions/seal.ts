/** Extends the log, each hour and after each report, by everything stored since and by gaps for windows that were not collected. */
import { readConfig } from '../lib/config.ts'
import { kmsSigner } from '../lib/seal/key/kms.ts'
import { parameterLastHead } from '../lib/seal/write/parameter-last-head.ts'
import { seal } from '../lib/seal/write/seal.ts'
import { onSchedule, once, setting } from './lambda.ts'

const config = readConfig()
const keyId = setting(config.kmsKey, 'CIPHERTRAIL_KMS_KEY')
const name = setting(config.logName, 'CIPHERTRAIL_LOG_NAME')
const last = parameterLastHead(setting(config.logHead, 'CIPHERTRAIL_LOG_HEAD'))
const signer = once(() => kmsSigner({ keyId, name }))

export const handler = onSchedule(async (now, { objects }) => {
  const { leaves, size, errors } = await seal({ now }, { objects, signer: await signer(), last })
  const sealed = Object.values(leaves).reduce((sum, count) => sum + count, 0)
  return {
    logFields: { leaves, size, errors },
    counts: { Seals: 1, SealedLeaves: sealed, SealedGaps: leaves.gap ?? 0, SealProblems: errors.length },
  }
})
