import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { weekMail } from '../../lib/run/mail.ts'
import { addCluster, removeCluster } from '../../lib/store/registry.ts'
import { memoryObjects } from '../support/memory-objects.ts'

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
  assert.equal(view.warnings[0], 'Not registered, so nothing is known of it: cluster east.')
  assert.ok(view.notes.some((note) => note.includes('cluster old')))
})
