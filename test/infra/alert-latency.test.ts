import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { toSeconds } from '../../lib/time/windows.ts'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import { alertDue } from '../../lib/jobs/alert-channels.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import type { Memory } from '../../lib/history/recent.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { toldCluster, toldWindow } from '../support/stored/told-cluster.ts'

const parameters = readFileSync(new URL('../../infra/resources/parameters.yml', import.meta.url), 'utf8')

/** The minutes of a schedule as the stack has it, of which one begins each few minutes. */
function scheduleOf(name: string): { readonly first: number; readonly every: number } {
  const [, first = '', every = ''] = new RegExp(`\\$\\{param:${name}, 'cron\\((\\d+)/(\\d+) `).exec(parameters) ?? []
  assert.ok(every !== '', name)
  return { first: Number(first) * 60, every: Number(every) * 60 }
}

/** The next time of a schedule, from a time on. */
function nextOf({ first, every }: ReturnType<typeof scheduleOf>, from: number): number {
  return Math.ceil((from - first) / every) * every + first
}

test('what a window shows is told within one window of its collection, however long collecting took', async () => {
  const [asks, looks] = [scheduleOf('plan-schedule'), scheduleOf('alert-schedule')]
  const waited: number[] = []
  for (const seconds of [1, 10, 120, 179, 180, 181, 299]) {
    const objects = memoryObjects(new Map())
    const window = toldWindow(0)
    const author = { now: new Date(window.start), by: 'tester' }
    await addCluster({ id: 'told', windowMinutes: 5 }, author, { objects })
    const earlier = { now: new Date('2026-11-20T00:00:00Z'), by: 'tester' }
    await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, earlier, objects)
    const told: number[] = []
    let clock = toSeconds(window.end)
    const now = () => new Date(clock * 1000)
    const memory: Memory = new Map()
    const look = async (): Promise<void> => {
      const send = async () => (told.push(clock), '250')
      const publish = () => Promise.reject(new Error('nothing is published'))
      const mail = { from: { name: 'ciphertrail', address: 'ciphertrail@example.com' }, send }
      await alertDue({ at: now(), url: null }, { objects, now, mail, post: publish, publish, memory })
    }
    clock = nextOf(asks, clock)
    const { due } = await plan({ now: now() }, { objects })
    // The window before was over when the cluster was registered, and is asked for as well.
    assert.deepEqual(due.at(-1), { cluster: 'told', window, attempt: 1 })
    const stored = clock + seconds
    // Whoever looks before that finds nothing.
    for (clock = nextOf(looks, clock); clock < stored; clock += looks.every) await look()
    assert.deepEqual(told, [])
    const next = clock
    clock = stored
    const message = due.at(-1) ?? assert.fail()
    const collector = { name: 'ciphertrail', version: '0.0.0' }
    await collectDue(message, { collector, now }, { objects, open: () => toldCluster(now).access })
    clock = next
    await look()
    assert.deepEqual(told, [next])
    waited.push(next - stored)
  }
  assert.deepEqual(waited, [179, 170, 60, 1, 0, 299, 181])
  assert.ok(waited.every((seconds) => seconds < 300))
})
