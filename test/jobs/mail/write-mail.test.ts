import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { weekMail } from '../../../lib/jobs/mail/write-mail.ts'
import { writeProgress } from '../../../lib/seal/write/progress.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import { vkeyKey } from '../../../lib/store/log-keys.ts'
import { addCluster, readClusters, removeCluster } from '../../../lib/store/registry/registry.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

test('weekMail(): a cluster that was taken out since the week began is told as not observed, one of long ago only in a note', async () => {
  const objects = memoryObjects()
  const author = (time: string) => ({ now: new Date(time), by: 'test' })
  for (const id of ['west', 'east', 'old']) await addCluster({ id }, author('2026-11-01T00:00:00Z'), { objects })
  await removeCluster('old', author('2026-11-10T00:00:00Z'), { objects })
  await removeCluster('east', author('2026-11-18T00:00:00Z'), { objects })
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author('2026-11-01T00:00:00Z'), objects)
  const [channel] = await readChannels(objects)
  assert.ok(channel)
  const { view } = await weekMail(
    {
      channel,
      week: { week: '2026-W47', from: '2026-11-16T00:00:00Z', to: '2026-11-23T00:00:00Z' },
      now: new Date('2026-11-23T07:00:00Z'),
      version: '0.1.0',
      url: null,
      suppressed: { unsubscribed: 0, bounced: 0, complained: 0 },
    },
    { objects },
  )
  matchesText(view.warnings[0])
  assert.ok(view.notes.some((note) => note.includes('cluster old')))
})

test('weekMail(): a trust anchor that ends soon and a log that is behind are told as alerts tell them, a quiet week tells neither', async () => {
  const objects = memoryObjects()
  const author = { now: minutesIn(-1), by: 'test' }
  await addCluster({ id: 'shop', windowMinutes: 5 }, author, { objects })
  await addChannel({ id: 'all', recipients: ['ada@example.com'] }, author, objects)
  await addChannel({ id: 'some', recipients: ['ada@example.com'], namespaces: ['shop'] }, author, objects)
  const { cert } = await generate([{ name: 'commonName', value: 'root' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date('2026-01-01T00:00:00Z'),
    notAfterDate: new Date('2027-01-01T00:00:00Z'),
  })
  const configmaps = [
    { metadata: { name: 'linkerd-identity-trust-roots', namespace: 'linkerd' }, data: { 'ca-bundle.crt': cert } },
  ]
  const mesh = { pods: [pod('deployment/web')], objects: () => ({ configmaps }) }
  for (const index of [0, 1]) await writeAttempt(snapshotOf('shop', index, {}, mesh), { objects })
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  await deriveCluster(cluster, { objects, assess: assessWindow })
  const [all, some] = await readChannels(objects)
  assert.ok(all && some)
  const soon = async (channel: Channel, now: string) => {
    const { view } = await weekMail(
      {
        channel,
        week: { week: '2026-W48', from: '2026-11-23T00:00:00Z', to: '2026-11-30T00:00:00Z' },
        now: new Date(now),
        version: '0.1.0',
        url: null,
        suppressed: { unsubscribed: 0, bounced: 0, complained: 0 },
      },
      { objects },
    )
    return view.soon === null ? [] : [view.soon.title, ...view.soon.items]
  }
  assert.deepEqual(await soon(all, '2026-11-30T07:00:00Z'), [])
  const sealedAt = toSeconds('2026-11-30T00:00:00Z')
  await objects.putOnce(vkeyKey, Buffer.from('a key'))
  await writeProgress({ progress: undefined, etag: null }, { now: sealedAt, isWhole: true }, objects)
  assert.deepEqual(await soon(all, '2026-11-30T02:00:00Z'), [])
  const behind = 'Nothing was sealed since Mon 30 Nov 00:00: data stored since then can be changed unnoticed'
  matchesText(await soon(some, '2026-12-05T07:00:00Z'), [TEXT, behind])
  matchesText(await soon(all, '2026-12-05T07:00:00Z'), [TEXT, behind, TEXT])
})

test('weekMail(): that nobody knows of certificates and trust anchors, since nothing was collected lately, is said to whoever would be told of them', async () => {
  const objects = memoryObjects()
  const author = { now: minutesIn(-1), by: 'test' }
  for (const id of ['shop', 'down']) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  await addChannel({ id: 'all', recipients: ['ada@example.com'] }, author, objects)
  await addChannel({ id: 'some', recipients: ['ada@example.com'], namespaces: ['shop'] }, author, objects)
  const failed = { status: 'failed', errors: ['Prometheus is away'], prometheusTime: null, answers: [] } as const
  for (const snapshot of [
    snapshotOf('shop', 0),
    snapshotOf('shop', 1),
    snapshotOf('down', 0),
    snapshotOf('down', 1, { complete: false, metrics: failed }),
  ])
    await writeAttempt(snapshot, { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  const unknown = async (channel: Channel) => {
    const { view, text, html } = await weekMail(
      {
        channel,
        week: { week: '2026-W48', from: '2026-11-23T00:00:00Z', to: '2026-11-30T00:00:00Z' },
        now: new Date('2026-11-30T07:00:00Z'),
        version: '0.1.0',
        url: null,
        suppressed: { unsubscribed: 0, bounced: 0, complained: 0 },
      },
      { objects },
    )
    const told = (view.soon?.items ?? []).filter((line) => line.startsWith('Unknown on '))
    for (const line of told) assert.ok(html(null, null).includes(line) && text(null, null).includes(line))
    return told
  }
  const [all, some] = await readChannels(objects)
  assert.ok(all && some)
  matchesText(await unknown(all))
  assert.deepEqual(await unknown(some), [])
})
