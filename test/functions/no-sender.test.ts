import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../lib/deliver/send/claims.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { batchOf, capturedLog, contextOf } from '../support/aws/lambda.ts'
import { startS3Server } from '../support/servers/s3-server.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const STORE = 's3://evidence?derived=derived'
const AUTHOR = { now: new Date('2026-11-20T00:00:00Z'), by: 'tester' }

test('where nobody is named whom mail is from, channels with recipients are told as problems, and nothing is claimed', async (t) => {
  const s3 = await startS3Server()
  t.after(() => s3.close())
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  Object.assign(process.env, s3.env, { CIPHERTRAIL_STORE: STORE, POWERTOOLS_METRICS_NAMESPACE: 'test' })
  process.env['CIPHERTRAIL_MAIL_FROM'] = ''
  const objects = openStore(STORE)
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-11-23T07:05:00Z') })
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, AUTHOR, objects)
  await addChannel({ id: 'weekly', recipients: ['ada@example.com'], hasAlerts: false }, AUTHOR, objects)
  await addCluster({ id: 'dark' }, AUTHOR, { objects })
  const log = capturedLog(t)
  const [{ handler: deliver }, { handler: alert }] = await Promise.all([
    import('../../functions/deliver.ts'),
    import('../../functions/alert.ts'),
  ])
  assert.deepEqual(await deliver(batchOf({ channel: 'ops', week: '2026-W47' }), contextOf()), { batchItemFailures: [] })
  await alert({ time: '2026-11-23T07:04:00Z' }, contextOf())
  const [refused, mailCounts, told, alertCounts] = log.lines()
  matchesText(String(refused?.['reason']))
  assert.equal(mailCounts?.['MailProblems'], 1)
  assert.partialDeepStrictEqual(
    [told, alertCounts],
    [
      { began: 1, sent: 0, left: 0 },
      { Alerts: 1, AlertProblems: 1 },
    ],
  )
  matchesText(String(told?.['problems']))
  for (const kind of ['week', 'alert'] as const)
    for await (const claimed of listDeliveries(kind, new Date(), objects)) assert.fail(JSON.stringify(claimed))
})
