/**
 * Extends the log, each hour and after each report, by everything stored since and by gaps for windows that were not collected. Then gets the time stamps that
 * are missing, if an authority is named; without them the log is sealed all the same.
 */
import { readConfig } from '../lib/config.ts'
import { kmsSigner } from '../lib/seal/key/kms.ts'
import { parameterLastHead } from '../lib/seal/write/parameter-last-head.ts'
import { timestampSettings } from '../lib/seal/timestamp/settings.ts'
import { TimestampError } from '../lib/seal/timestamp/timestamp-error.ts'
import { timestampingBy } from '../lib/seal/timestamp/timestamping.ts'
import { seal } from '../lib/seal/write/seal.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { errorLine } from '../lib/text/error-line.ts'
import { onSchedule, setting, SettingError } from './lambda.ts'
import { once } from '../lib/once.ts'

const config = readConfig()
const keyId = setting(config.kmsKey, 'CIPHERTRAIL_KMS_KEY')
const name = setting(config.logName, 'CIPHERTRAIL_LOG_NAME')
const last = parameterLastHead(setting(config.logHead, 'CIPHERTRAIL_LOG_HEAD'))
const signer = once(() => kmsSigner({ keyId, name }))

/** With less time left than this no authority is asked: longer than one answer takes. */
const MIN_MS = 30_000

const timestamping = openTimestamping()

function openTimestamping() {
  const { tsa: url, tsaHttp, tsaPolicy: policy, tsaCertificates: authorities } = config
  if (url === undefined) return null
  try {
    const settings = timestampSettings({ url, mayBeHttp: tsaHttp === 'allow', policy, authorities })
    return timestampingBy(settings, config.allowedNetworks)
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error
    throw new SettingError(`Cannot use CIPHERTRAIL_TSA: ${error.message}`)
  }
}

export const handler = onSchedule(async (now, { objects }, leftMs) => {
  const { leaves, size, errors } = await seal({ now }, { objects, signer: await signer(), last })
  const { overdue, ...stamps } = await getTimestamps(objects, () => leftMs() < MIN_MS)
  const sealed = Object.values(leaves).reduce((sum, count) => sum + count, 0)
  return {
    logFields: { leaves, size, errors, ...stamps },
    counts: {
      Seals: 1,
      SealedLeaves: sealed,
      SealedGaps: leaves.gap ?? 0,
      SealProblems: errors.length,
      TimestampsOverdue: overdue,
    },
  }
})

/** What became of time stamps, as fields of the log line, and how many are overdue. Nothing that fails there is a failure of sealing. */
async function getTimestamps(
  objects: Objects,
  isOver: () => boolean,
): Promise<Readonly<Record<string, unknown>> & { readonly overdue: number }> {
  if (timestamping === null) return { overdue: 0 }
  try {
    const { stamped, missing, overdue, problems } = await timestamping({}, { objects, now: () => new Date(), isOver })
    return {
      stamped: stamped.map(({ size, time }) => ({ size, time })),
      withoutTimestamp: missing,
      timestampProblems: problems,
      overdue,
    }
  } catch (error) {
    // Nobody knows how many have none: the next run says.
    return { timestampProblems: [errorLine(error)], overdue: 1 }
  }
}
