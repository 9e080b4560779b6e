import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { activity, eventsWithin } from '../../lib/observed/activity.ts'
import type { ActivityEvent, Sample, Scrapes } from '../../lib/observed/activity.ts'
import { LOOKBACK_SECONDS } from '../../lib/time/windows.ts'
import type { Seconds } from '../../lib/model/time.ts'
import { RETAIN_IDLE, simulate } from '../support/mesh/proxy-simulator.ts'
import type { Plan, Recorded } from '../support/mesh/proxy-simulator.ts'

const INTERVAL = 10
const SPAN = 7200
/** A window is collected this long after its end. */
const SETTLE = 60

/** What a collector that asks for one window gets: samples from 15 minutes before its start to its end. */
type View = { readonly samples: Sample[]; readonly open: Sample[]; readonly scrapes: Scrapes }

/** @param lostUntil nothing up to this moment is left in Prometheus */
function viewOf(recorded: Recorded, start: Seconds, end: Seconds, lostUntil = -Infinity): View {
  const from = Math.max(start - LOOKBACK_SECONDS, lostUntil)
  const within = <T extends { time: Seconds }>(rows: readonly T[]): T[] =>
    rows.filter(({ time }) => time > from && time <= end)
  const asked = within(recorded.up)
  const steps = asked.slice(1).map(({ time }, index) => time - (asked[index]?.time ?? 0))
  return {
    samples: within(recorded.openTotal),
    open: within(recorded.openConnections),
    scrapes: {
      times: asked.filter(({ value }) => value === 1).map(({ time }) => time),
      interval: steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? INTERVAL,
      processStarts: [...new Set(within(recorded.processStart).map(({ value }) => value))].toSorted((a, b) => a - b),
    },
  }
}

type Story = {
  readonly plan: Plan
  /** Prometheus begins anew with an empty disk at the end of this time. */
  readonly loss: { readonly from: Seconds; readonly to: Seconds } | null
  readonly windowSeconds: number
}

type Options = { readonly outages: boolean; readonly otherReaders: boolean; readonly hiddenRebirths: boolean }

/** Gaps between connections lie where it hurts: within one scrape, around eviction, around the lookback. */
function storyOf({ outages, otherReaders, hiddenRebirths }: Options): fc.Arbitrary<Story> {
  const aroundEviction = hiddenRebirths ? { min: 585, max: 625 } : { min: 660, max: 680 }
  const gap = fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer(aroundEviction),
    fc.integer(hiddenRebirths ? { min: 880, max: 920 } : { min: 700, max: 1500 }),
    fc.integer(hiddenRebirths ? { min: 40, max: 1500 } : { min: 40, max: 560 }),
  )
  const life = fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    fc.integer({ min: 0, max: 30 }),
    fc.integer(hiddenRebirths ? { min: 580, max: 1500 } : { min: 1, max: 9 }),
  )
  const processes = fc.array(
    fc.record({
      life: fc.oneof(fc.integer({ min: 1, max: 25 }), fc.integer({ min: 3, max: 3000 })),
      down: fc.oneof(fc.constantFrom(0.5, 2), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 1200 })),
    }),
    { maxLength: 6 },
  )
  const outage = fc.record({
    from: fc.integer({ min: 0, max: SPAN }),
    seconds: fc.oneof(fc.integer({ min: 5, max: 60 }), fc.integer({ min: 60, max: 1500 })),
    kind: fc.constantFrom('silent', 'refused', 'late'),
  })
  return fc
    .record({
      gaps: fc.array(fc.record({ gap, life }), { maxLength: 25 }),
      processes,
      phase: fc.integer({ min: 0, max: 9 }),
      jitter: fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 12 }),
      outages: fc.array(outage, { maxLength: outages ? 3 : 0 }),
      loss: outages
        ? fc.option(fc.record({ from: fc.integer({ min: 0, max: SPAN }), seconds: fc.integer({ min: 1, max: 900 }) }))
        : fc.constant(null),
      reader: otherReaders ? fc.option(fc.integer({ min: 0, max: 19 })) : fc.constant(null),
      windowSeconds: fc.constantFrom(300, 900, 1800, 3600),
    })
    .map((raw) => {
      let at = 0.5
      const connections = raw.gaps.map(({ gap: seconds, life: lasts }) => {
        at += seconds
        return { openedAt: at, closedAt: at + lasts }
      })
      let startedAt = 0.25
      const lives = [...raw.processes, { life: SPAN * 2, down: 0 }].map(({ life: lasts, down }) => {
        const process = { startedAt, endedAt: startedAt + lasts }
        startedAt = process.endedAt + down
        return process
      })
      const loss = raw.loss === null ? null : { from: raw.loss.from, to: raw.loss.from + raw.loss.seconds }
      return {
        plan: {
          connections,
          processes: lives,
          // Prometheus keeps its rhythm within milliseconds.
          scrapeTimes: Array.from(
            { length: SPAN / INTERVAL },
            (_, index) => index * INTERVAL + raw.phase + (raw.jitter[index % raw.jitter.length] ?? 0) / 1000,
          ),
          outages: [
            ...raw.outages.map(({ from, seconds, kind }) => ({ from, to: from + seconds, kind })),
            ...(loss === null ? [] : [{ ...loss, kind: 'silent' as const }]),
          ],
          otherReads:
            raw.reader === null
              ? []
              : Array.from({ length: SPAN / 15 }, (_, index) => index * 15 + (raw.reader ?? 0) + 0.1),
        },
        loss,
        windowSeconds: raw.windowSeconds,
      }
    })
}

const everything: Options = { outages: true, otherReaders: false, hiddenRebirths: true }

/** Each window as its collector sees it: what it asked for, when, and what was left by then. */
function windowsOf({ loss, windowSeconds }: Story, recorded: Recorded) {
  return Array.from({ length: SPAN / windowSeconds }, (_, index) => {
    const start = index * windowSeconds
    const end = start + windowSeconds
    const lostUntil = loss !== null && end + SETTLE > loss.from ? loss.to : -Infinity
    const view = viewOf(recorded, start, end, lostUntil)
    return { start, end, lostUntil, view, events: activity(view.samples, view.scrapes, view.open) }
  })
}

/** How many connections this scrape was the first to show, of those that Prometheus still held. */
function firstShownAt(recorded: Recorded, scrape: Seconds, lostUntil = -Infinity): number {
  return recorded.opened.filter(({ shownAt }) => shownAt.find((time) => time > lostUntil) === scrape).length
}

const sum = (events: readonly ActivityEvent[]): number => events.reduce((total, { count }) => total + count, 0)

describe('activity() and eventsWithin() over a simulated proxy', () => {
  test('date each connection exactly at its first scrape, or call the count undated and not too small', () => {
    fc.assert(
      fc.property(storyOf(everything), (story) => {
        const recorded = simulate(story.plan)
        for (const { start, lostUntil, view, events } of windowsOf(story, recorded))
          for (const scrape of view.scrapes.times.filter((time) => time > start)) {
            const here = events.filter(({ time }) => time === scrape)
            assert.ok(here.length <= 1, `two events at ${scrape}`)
            const [event] = here
            const expected = firstShownAt(recorded, scrape, lostUntil)
            const count = event?.count ?? 0
            const value = view.samples.find(({ time }) => time === scrape)?.value
            // All of the value is new, though it grew: an eviction that cannot be dated lies in between, and presence is kept.
            const hidden = event?.kind === 'grew' && expected === value && count < expected
            if (event?.kind === 'undated') assert.ok(count >= expected, `lost at ${scrape}: ${count} of ${expected}`)
            else if (!hidden) assert.equal(count, expected, `at ${scrape} of the window from ${start}`)
          }
      }),
      { numRuns: 1500 },
    )
  })

  test('lose no connection that is not encrypted, except what no scrape showed', () => {
    fc.assert(
      fc.property(storyOf(everything), (story) => {
        const recorded = simulate(story.plan)
        for (const { start, end, lostUntil, view, events } of windowsOf(story, recorded)) {
          const counted = eventsWithin(events, start, end)
          const shown = view.scrapes.times.filter((time) => time > start && firstShownAt(recorded, time, lostUntil) > 0)
          assert.ok(shown.length === 0 || counted.length > 0, `nothing in the window from ${start}`)
        }
        for (const { openedAt } of recorded.opened.filter(({ shownAt }) => shownAt.length === 0)) {
          // Ended unscraped: no scrape of its process came after it while its series lived.
          const process = story.plan.processes.find(
            ({ startedAt, endedAt }) => openedAt >= startedAt && openedAt < endedAt,
          )
          const next = recorded.up.find(({ time, value }) => value === 1 && time >= openedAt)?.time ?? Infinity
          assert.ok(
            next >= (process?.endedAt ?? 0) || next - openedAt > RETAIN_IDLE,
            `unseen at ${openedAt}, scraped at ${next}`,
          )
        }
      }),
      { numRuns: 700 },
    )
  })

  test('count no encrypted connection in a window in which no scrape was the first to show it', () => {
    fc.assert(
      fc.property(storyOf(everything), (story) => {
        const recorded = simulate(story.plan)
        let total = 0
        for (const { start, end, lostUntil, view, events } of windowsOf(story, recorded)) {
          const dated = eventsWithin(events, start, end).filter(({ kind }) => kind !== 'undated')
          const expected = view.scrapes.times
            .filter((time) => time > start)
            .reduce((count, time) => count + firstShownAt(recorded, time, lostUntil), 0)
          assert.ok(sum(dated) <= expected, `${sum(dated)} of ${expected} in the window from ${start}`)
          total += sum(dated)
        }
        assert.ok(total <= recorded.opened.length, 'a connection was counted in two windows')
      }),
      { numRuns: 700 },
    )
  })

  test('call nothing undated where scrapes went on and no eviction was hidden', () => {
    fc.assert(
      fc.property(storyOf({ outages: false, otherReaders: false, hiddenRebirths: false }), (story) => {
        const recorded = simulate(story.plan)
        for (const { start, end, events } of windowsOf(story, recorded))
          assert.deepEqual(
            eventsWithin(events, start, end).filter(({ kind }) => kind === 'undated'),
            [],
          )
      }),
      { numRuns: 500 },
    )
  })

  test('find a connection at the next scrape at the latest where another reader evicts', () => {
    fc.assert(
      fc.property(storyOf({ outages: false, otherReaders: true, hiddenRebirths: true }), ({ plan }) => {
        const recorded = simulate(plan)
        const { samples, scrapes, open } = viewOf(recorded, 0, SPAN)
        const events = activity(samples, scrapes, open)
        for (const [index, time] of scrapes.times.entries()) {
          const next = scrapes.times[index + 1] ?? Infinity
          // A process that ended before the next scrape took the answer with it.
          const survives = !plan.processes.some(({ endedAt }) => endedAt > time && endedAt <= next)
          if (firstShownAt(recorded, time) > 0 && survives && next < Infinity)
            assert.ok(
              events.some((event) => event.time === time || event.time === next),
              `nothing at ${time} or ${next}`,
            )
        }
      }),
      { numRuns: 500 },
    )
  })

  test('give windows joined the events of the time as a whole, whatever the window', () => {
    fc.assert(
      fc.property(storyOf({ outages: false, otherReaders: false, hiddenRebirths: false }), (story) => {
        const recorded = simulate(story.plan)
        const whole = viewOf(recorded, 0, SPAN)
        const joined = windowsOf(story, recorded).flatMap(({ start, end, events }) => eventsWithin(events, start, end))
        // A series of an earlier process is before the look back of a window, so that what was restarted is born there.
        const told = (all: readonly ActivityEvent[]) =>
          all.map(({ kind, ...event }) => ({ ...event, isDated: kind !== 'undated' }))
        assert.deepEqual(told(joined), told(activity(whole.samples, whole.scrapes, whole.open)))
      }),
      { numRuns: 300 },
    )
  })
})

describe('activity()', () => {
  const everyTen = (from: Seconds, to: Seconds): Seconds[] =>
    Array.from({ length: (to - from) / 10 + 1 }, (_, index) => from + index * 10)
  /** Samples every ten seconds from `from` on. */
  const samplesFrom = (from: Seconds, ...values: number[]): Sample[] =>
    values.map((value, index) => ({ time: from + index * 10, value }))
  const scraped = (times: Seconds[], processStarts: Seconds[] = [0]): Scrapes => ({
    times,
    interval: 10,
    processStarts,
  })

  const cases: { name: string; samples: Sample[]; scrapes: Scrapes; open?: Sample[]; events: ActivityEvent[] }[] = [
    {
      name: 'counts the difference where a value grew',
      samples: [...samplesFrom(1010, 3, 3, 5)],
      scrapes: scraped(everyTen(1000, 1030)),
      events: [
        { time: 1010, count: 3, kind: 'born' },
        { time: 1030, count: 2, kind: 'grew' },
      ],
    },
    {
      name: 'counts the new value where it fell, though no start of a process is known',
      samples: samplesFrom(1010, 3, 1),
      scrapes: scraped(everyTen(1000, 1020), []),
      events: [
        { time: 1010, count: 3, kind: 'born' },
        { time: 1020, count: 1, kind: 'restarted' },
      ],
    },
    {
      name: 'counts the new value where a process began between two equal values',
      samples: samplesFrom(1010, 1, 1),
      scrapes: scraped(everyTen(1000, 1020), [0, 1015]),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1020, count: 1, kind: 'restarted' },
      ],
    },
    {
      name: 'counts the new value where a process began between a lower and a higher one',
      samples: samplesFrom(1010, 1, 4),
      scrapes: scraped(everyTen(1000, 1020), [0, 1015]),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1020, count: 4, kind: 'restarted' },
      ],
    },
    {
      name: 'begins anew, at the same value, after a scrape that lacked the series',
      samples: [...samplesFrom(1010, 1), ...samplesFrom(1030, 1)],
      scrapes: scraped(everyTen(1000, 1030)),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1030, count: 1, kind: 'born' },
      ],
    },
    {
      name: 'begins anew at a higher value with all of it',
      samples: [...samplesFrom(1010, 2), ...samplesFrom(1030, 5)],
      scrapes: scraped(everyTen(1000, 1030)),
      events: [
        { time: 1010, count: 2, kind: 'born' },
        { time: 1030, count: 5, kind: 'born' },
      ],
    },
    {
      name: 'does not begin anew over scrapes that failed',
      samples: [...samplesFrom(1010, 2), ...samplesFrom(1040, 2)],
      scrapes: scraped([1000, 1010, 1040]),
      events: [{ time: 1010, count: 2, kind: 'born' }],
    },
    {
      name: 'dates a birth by a scrape at most twice the interval before',
      samples: samplesFrom(1020, 2),
      scrapes: scraped([1000, 1020]),
      events: [{ time: 1020, count: 2, kind: 'born' }],
    },
    {
      name: 'does not date a birth by a scrape longer ago',
      samples: samplesFrom(1021, 2),
      scrapes: scraped([1000, 1021]),
      events: [{ time: 1021, count: 2, kind: 'undated' }],
    },
    {
      name: 'dates a birth by a process younger than the last scrape, however long ago',
      samples: samplesFrom(1500, 2),
      scrapes: scraped([1000, 1500], [0, 1001]),
      events: [{ time: 1500, count: 2, kind: 'born' }],
    },
    {
      name: 'does not date the first sample of an old process without a scrape before',
      samples: samplesFrom(1000, 7),
      scrapes: scraped([1000]),
      events: [{ time: 1000, count: 7, kind: 'undated' }],
    },
    {
      name: 'does not date the first sample where no start of a process is known',
      samples: samplesFrom(1000, 7),
      scrapes: scraped([1000], []),
      events: [{ time: 1000, count: 7, kind: 'undated' }],
    },
    {
      name: 'dates the first sample of a pod that began just before',
      samples: samplesFrom(1000, 7),
      scrapes: scraped([1000], [985]),
      events: [{ time: 1000, count: 7, kind: 'born' }],
    },
    {
      name: 'takes a sample of 0 for no connection, and what comes after it for growth',
      samples: samplesFrom(1010, 0, 0, 1),
      scrapes: scraped(everyTen(1000, 1030)),
      events: [{ time: 1030, count: 1, kind: 'grew' }],
    },
    {
      name: 'takes a fall to 0 for no connection',
      samples: samplesFrom(1010, 4, 0),
      scrapes: scraped(everyTen(1000, 1020)),
      events: [{ time: 1010, count: 4, kind: 'born' }],
    },
    {
      name: 'finds a series that the page dropped and that was born again before the next scrape, at the same value',
      samples: samplesFrom(1010, ...Array.from({ length: 62 }, () => 1)),
      scrapes: scraped(everyTen(1000, 1620)),
      open: samplesFrom(1010, ...Array.from({ length: 62 }, () => 0)),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1620, count: 1, kind: 'born' },
      ],
    },
    {
      name: 'doubts a series that its process used once, at a time that no two scrapes tell closely, and that is shown after ten minutes',
      samples: [{ time: 1010.001, value: 1 }, ...samplesFrom(1020, ...Array.from({ length: 61 }, () => 1))],
      scrapes: scraped([1000, 1010.001, ...everyTen(1020, 1620)], [0, 1005.75]),
      open: [{ time: 1010.001, value: 0 }, ...samplesFrom(1020, ...Array.from({ length: 61 }, () => 0))],
      events: [
        { time: 1010.001, count: 1, kind: 'born' },
        { time: 1620, count: 1, kind: 'undated' },
      ],
    },
    {
      name: 'counts all of a series that the page dropped and that came back higher',
      samples: samplesFrom(1010, ...Array.from({ length: 61 }, () => 1), 3),
      scrapes: scraped(everyTen(1000, 1620)),
      open: samplesFrom(1010, ...Array.from({ length: 62 }, () => 0)),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1620, count: 3, kind: 'born' },
      ],
    },
    {
      name: 'leaves a series alone that is idle for 9:59',
      samples: samplesFrom(1010, ...Array.from({ length: 61 }, () => 1)),
      scrapes: scraped(everyTen(1000, 1610)),
      open: samplesFrom(1010, ...Array.from({ length: 61 }, () => 0)),
      events: [{ time: 1010, count: 1, kind: 'born' }],
    },
    {
      name: 'leaves a connection alone that is kept for hours',
      samples: samplesFrom(1010, ...Array.from({ length: 400 }, () => 1)),
      scrapes: scraped(everyTen(1000, 5000)),
      open: samplesFrom(1010, ...Array.from({ length: 400 }, () => 1)),
      events: [{ time: 1010, count: 1, kind: 'born' }],
    },
    {
      name: 'finds a connection by the open ones where the counter stands still',
      samples: samplesFrom(1010, 1, 1),
      scrapes: scraped(everyTen(1000, 1020)),
      open: samplesFrom(1010, 0, 1),
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1020, count: 1, kind: 'born' },
      ],
    },
    {
      name: 'does not date what stands at the same value after more than ten minutes without scrapes',
      samples: [...samplesFrom(1010, 1), ...samplesFrom(1700, 1)],
      scrapes: scraped([1000, 1010, 1700]),
      open: [...samplesFrom(1010, 1), ...samplesFrom(1700, 0)],
      events: [
        { time: 1010, count: 1, kind: 'born' },
        { time: 1700, count: 1, kind: 'undated' },
      ],
    },
  ]
  for (const { name, samples, scrapes, open, events } of cases)
    test(`activity() ${name}`, () => assert.deepEqual(activity(samples, scrapes, open), events))

  test('activity() gives no event where there is no sample', () => {
    assert.deepEqual(activity([], scraped(everyTen(0, 100))), [])
  })
})

describe('eventsWithin()', () => {
  const grew = (time: Seconds): ActivityEvent => ({ time, count: 1, kind: 'grew' })

  test('eventsWithin() gives an event at the border to the window that ends there', () => {
    assert.deepEqual(eventsWithin([grew(300), grew(300.001), grew(600)], 300, 600), [grew(300.001), grew(600)])
    assert.deepEqual(eventsWithin([grew(300)], 0, 300), [grew(300)])
  })

  test('eventsWithin() keeps the largest undated event, since each stands for the whole value', () => {
    const undated = (time: Seconds, count: number): ActivityEvent => ({ time, count, kind: 'undated' })
    assert.deepEqual(eventsWithin([undated(10, 1), grew(20), undated(30, 2), undated(40, 2)], 0, 60), [
      grew(20),
      undated(30, 2),
    ])
  })

  test('eventsWithin() gives nothing of no events', () => {
    assert.deepEqual(eventsWithin([], 0, 60), [])
  })
})
