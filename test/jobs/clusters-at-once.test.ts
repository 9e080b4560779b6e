import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { alertDue } from '../../lib/jobs/alert-channels.ts'
import { weekMail } from '../../lib/jobs/mail/write-mail.ts'
import { readReportInput } from '../../lib/jobs/read-report-input.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { busyStore } from '../support/stored/busy-store.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'

/** More than anything reads at once. */
const CLUSTERS = 40
const WEEK = { week: '2026-W48', from: '2026-11-23T00:00:00Z', to: '2026-11-30T00:00:00Z' }
const now = new Date('2026-11-30T07:00:00Z')
const never = (): Promise<never> => Promise.reject(new Error('nobody is told'))

const held = new Map<string, Uint8Array>()
const author = { now: minutesIn(0), by: 'test' }
for (let index = 0; index < CLUSTERS; index++) {
  const objects = memoryObjects(held)
  await addCluster({ id: `c${index}` }, author, { objects })
  await addChannel({ id: `ops-${index}`, recipients: ['ada@example.com'] }, author, objects)
}

const steps: Record<string, (objects: Objects) => Promise<unknown>> = {
  'alertDue()': (objects) =>
    alertDue({ at: now, url: null }, { objects, now: () => now, mail: null, post: never, publish: never }),
  'readReportInput()': async (objects) => {
    const period = { from: WEEK.from, to: WEEK.to, label: 'W48', timeZone: 'UTC' }
    await readReportInput({ clusters: await readClusters({ objects }), period, now, version: '0' }, { objects })
  },
  'weekMail()': async (objects) => {
    const [channel] = await readChannels(objects)
    assert.ok(channel)
    const suppressed = { unsubscribed: 0, bounced: 0, complained: 0 }
    await weekMail({ channel, week: WEEK, now, version: '0', url: null, suppressed }, { objects })
  },
}

for (const [name, step] of Object.entries(steps))
  test(`${name} reads a few of many clusters at once`, async () => {
    const { objects, mostAtOnce } = busyStore(new Map(held))
    await step(objects)
    assert.ok(mostAtOnce() > 1 && mostAtOnce() <= 16, `${mostAtOnce()} requests at once`)
  })
