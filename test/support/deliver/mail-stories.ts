/** Weeks that a mail must tell rightly, each with the channel that gets it. */
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import type { ClusterPast, ClusterPeriod, PathEpisode } from '../../../lib/model/period.ts'
import { partOf } from '../../../lib/deliver/mail/part.ts'
import { otherConditions } from '../../../lib/deliver/alert/conditions.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { earlierPeriods } from '../../../lib/time/week.ts'
import {
  type StoryPath,
  cluster,
  episode,
  hours,
  PERIOD,
  report,
  storyOfAWeek,
  workload,
} from '../stored/report-input.ts'
import type { MailInput } from '../../../lib/deliver/mail/mail-input.ts'

export const CHANNEL: Channel = {
  id: 'everything',
  addedAt: '2026-01-01T00:00:00Z',
  clusters: [],
  namespaces: [],
  team: null,
  recipients: [],
  timeZone: 'Europe/Berlin',
  sendAt: '07:00',
  language: 'en',
  format: 'html',
  hasAlerts: true,
  webhook: null,
  snsTopic: null,
  downloadsSince: null,
  attachesPdf: false,
}

/** A mail of a story, with links. */
export function mailOf(input: ReportInput, channel: Partial<Channel> = {}, more: Partial<MailInput> = {}): MailInput {
  const whole = { ...CHANNEL, ...channel }
  const { input: part, empty } = partOf(input, whole)
  return {
    summary: summarise(part),
    channel: whole,
    unregistered: [],
    empty,
    suppressed: { unsubscribed: 0, bounced: 0, complained: 0 },
    beside: { words: '', conditions: [], untold: [], at: '2026-11-23T06:00:00Z' },
    links: { page: 'https://ciphertrail.example.com' },
    report: null,
    ...more,
  }
}

const END = hours().length - 1
const id = (number: number): string => (0xc0de_0000_0000 + number).toString(16).padStart(16, '0')
const shop = (name: string) => workload('deployment', 'shop', name)

const encrypted = (number: number): StoryPath => ({
  pathId: id(number),
  source: shop('web'),
  destination: shop(`backend-${number}`),
  port: 8080,
  stretches: [{ from: 0, to: END, state: 'mtls' }],
})

/** Plain text from a window of the week on, not ended. */
const opened = (
  number: number,
  from: number,
  names: Partial<Pick<StoryPath, 'source' | 'destination'>> = {},
): StoryPath => ({
  pathId: id(number),
  source: shop('web'),
  destination: workload('statefulset', 'bank', `ledger-${number}`),
  port: 5432,
  ...names,
  stretches: [
    ...(from === 0 ? [] : [{ from: 0, to: from - 1, state: 'mtls' as const }]),
    {
      from,
      to: END,
      state: 'plaintext',
      reason: 'not_provided_by_service_discovery',
      cause: 'destination-not-meshed',
      fix: `Mesh statefulset/ledger-${number} in bank: kubectl annotate namespace bank linkerd.io/inject=enabled`,
      episode: episode(id(number), hours()[from]?.start ?? PERIOD.from),
      clearShare: 1,
    },
  ],
})

/** Seven whole weeks before, with the paths as they are now, and with episodes of them. */
function wholePast(clusters: readonly ClusterPeriod[], earlier: readonly PathEpisode[] = []): ClusterPast[] {
  return clusters.map(({ id: cluster, rows }) => ({
    id: cluster,
    periods: earlierPeriods(PERIOD, 7).map(({ from, to }) => ({
      from,
      to,
      windows: hours({ from, to }).map((window) => ({
        ...window,
        expectedSeconds: 7200,
        observedSeconds: 7200,
        ratio: 1,
      })),
      rows: rows.filter(({ state }) => state === 'mtls').map((row) => ({ ...row, from, to })),
    })),
    episodes: [
      ...earlier,
      ...new Map(
        rows.flatMap(({ pathId, source, destination, port, episode: own }) =>
          own === null ? [] : [[own.id, { pathId, source, destination, port, episode: own }] as const],
        ),
      ).values(),
    ],
  }))
}

function story(paths: readonly StoryPath[], earlier: readonly PathEpisode[] = []): ReportInput {
  const clusters = [cluster('west', hours(), paths)]
  return report(clusters, { past: wholePast(clusters, earlier) })
}

const WELL = [encrypted(1), encrypted(2), encrypted(3)]

function clusterMissing(): ReportInput {
  const lost = hours({ missing: Array.from({ length: END + 1 }, (_, hour) => hour) })
  const clusters = [
    cluster('west', hours(), WELL),
    cluster('east', lost, [], { workloads: [], crypto: null, coverage: [] }),
  ]
  const past = wholePast(clusters)
  return report(clusters, { past })
}

/** Three clusters with open paths before; the third has not answered for the whole week. */
function oneOfThreeDark(): ReportInput {
  const lost = hours({ missing: Array.from({ length: END + 1 }, (_, hour) => hour) })
  const clusters = [
    cluster('prod-eu1', hours({ missing: [50, 51] }), [...WELL, opened(9, 40), opened(10, 0)]),
    cluster('prod-us1', hours(), WELL),
    cluster('prod-ap1', lost, [], { workloads: [], crypto: null, coverage: [] }),
  ]
  const { pathId, source, destination, port } = opened(11, 0)
  const before = { pathId, source, destination, port, episode: episode(pathId, '2026-11-03T08:00:00Z') }
  return report(clusters, {
    past: wholePast(clusters).map((one) => (one.id === 'prod-ap1' ? { ...one, episodes: [before] } : one)),
  })
}

function reopened(): ReportInput {
  const path = opened(9, 40)
  const { pathId, source, destination, port } = path
  const earlier = episode(pathId, '2026-11-03T08:00:00Z', '2026-11-05T08:00:00Z')
  return story([...WELL, path], [{ pathId, source, destination, port, episode: earlier }])
}

function firstWeek(): ReportInput {
  const from = '2026-11-19T10:00:00Z'
  const windows = hours({ from })
  const path = opened(9, 0)
  const own = episode(path.pathId, from, null, { sinceUnknown: true })
  const stretches = path.stretches.map((stretch) => ({ ...stretch, to: windows.length - 1, episode: own }))
  const clusters = [
    cluster('west', windows, [
      { ...encrypted(1), stretches: [{ from: 0, to: windows.length - 1, state: 'mtls' }] },
      { ...path, stretches },
    ]),
  ]
  return report(clusters, {
    past: wholePast(clusters).map((one) => ({
      ...one,
      periods: one.periods.map(({ from: begin, to }) => ({ from: begin, to, windows: [], rows: [] })),
    })),
  })
}

/** Line breaks, headers, tags, text that runs from right to left, templates: what names are made of to do harm. */
export const HOSTILE = [
  'x\r\nBcc: eve@example.com',
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  '\u202Egnp.exe',
  '{{constructor}}',
  '"><a href="https://evil.example">',
  '=?utf-8?q?Bcc=3A?=',
  '\u001b[2J',
] as const

function hostile(): ReportInput {
  const name = (index: number): string => HOSTILE[index % HOSTILE.length] ?? ''
  const paths = HOSTILE.map((_, index) =>
    opened(100 + index, 20 + index, {
      source: workload('deployment', name(index), name(index + 1)),
      destination: {
        ...workload('deployment', name(index + 2), name(index + 3)),
        cluster: index === 0 ? name(4) : null,
      },
    }),
  ).map((path, index) => ({
    ...path,
    stretches: path.stretches.map((stretch) => ({
      ...stretch,
      reason: name(index),
      cause: null,
      fix: name(index + 1),
    })),
  }))
  const clusters = [cluster('west', hours({ missing: [3] }), paths)]
  return report(clusters, {
    past: wholePast(clusters),
    waivers: [
      {
        id: name(0),
        destination: `deployment/*/*`,
        owner: name(1),
        reason: name(2),
        compensatingControl: name(3),
        expires: '2026-11-27T00:00:00Z',
      },
    ],
  })
}

/** 30 days after a mail of the week. */
const UNTIL = '2026-12-23T06:00:00Z'

const IN_UTC = { from: '2026-11-16T00:00:00Z', to: '2026-11-23T00:00:00Z', timeZone: 'UTC' } as const

/** What alerts told of meanwhile, on a channel of everything. */
const BESIDE: MailInput['beside'] = {
  words: '1 certificate not renewed, 1 trust anchor about to end, 1 seal behind',
  untold: [],
  conditions: otherConditions(CHANNEL, {
    now: '2026-11-23T06:00:00Z',
    clusters: [
      {
        id: 'west',
        problem: null,
        firstLookAt: null,
        episodes: [],
        windows: [],
        namespaces: [],
        isListed: true,
        certificate: { expires: '2026-11-23T06:30:00Z', asOf: '2026-11-23T05:00:00Z', isOfAll: true },
        trustAnchors: [{ subject: '<img src=x onerror=alert(1)>', sha256: 'ab', notAfter: '2026-12-10T00:00:00Z' }],
      },
    ],
    waivers: { all: [], problem: null },
    scopeProblem: null,
    seal: { isBehind: true, since: '2026-11-22T20:00:00Z' },
  }),
  at: '2026-11-23T06:00:00Z',
}

/** By the name of its folder under test/golden/mail. */
export const MAIL_STORIES: Readonly<Record<string, () => MailInput>> = {
  'all-well': () => mailOf(story(WELL)),
  'all-well-but-a-cluster-missing': () => mailOf(clusterMissing()),
  'three-clusters-one-dark': () => mailOf(oneOfThreeDark(), { id: 'prod' }),
  'new-plaintext': () => mailOf(story([...WELL, opened(9, 40)])),
  reopened: () => mailOf(reopened()),
  'first-week': () => mailOf(firstWeek()),
  'nothing-registered': () => mailOf(report([]), {}, { links: { page: null } }),
  '500-open-paths': () =>
    mailOf(story([...WELL, ...Array.from({ length: 500 }, (_, index) => opened(1000 + index, index % 100))])),
  'hostile-names': () => mailOf(hostile(), { team: 'Payments & <Co>' }),
  'a-week-of-two-clusters': () => mailOf(storyOfAWeek()),
  'recipients-without-mail': () =>
    mailOf(
      story([...WELL, opened(9, 40)]),
      { recipients: Array.from({ length: 9 }, (_, index) => `r${String(index).padStart(32, '0')}`) },
      { suppressed: { unsubscribed: 1, bounced: 2, complained: 1 } },
    ),
  'with-the-report': () =>
    mailOf(
      storyOfAWeek(),
      { downloadsSince: '2026-01-01T00:00:00Z', attachesPdf: true },
      { report: { report: { period: PERIOD, bytes: 312_345 }, linkUntil: UNTIL, hasPages: true, isAttached: true } },
    ),
  'report-of-another-zone-too-large-to-attach': () =>
    mailOf(
      story(WELL),
      { downloadsSince: '2026-01-01T00:00:00Z', attachesPdf: true },
      { report: { report: { period: IN_UTC, bytes: 7_200_000 }, linkUntil: UNTIL, hasPages: true, isAttached: true } },
    ),
  'report-not-kept-yet': () =>
    mailOf(
      story(WELL),
      { downloadsSince: '2026-01-01T00:00:00Z', attachesPdf: true },
      { report: { report: 'absent', linkUntil: UNTIL, hasPages: true, isAttached: true } },
    ),
  'all-well-but-an-anchor-ends': () => mailOf(story(WELL), {}, { beside: BESIDE }),
  'open-paths-and-an-anchor-ends': () => mailOf(storyOfAWeek(), {}, { beside: BESIDE }),
  'one-namespace': () => mailOf(storyOfAWeek(), { id: 'bank', namespaces: ['bank'], team: 'Bank' }),
}
