/** Notices that an alert must tell rightly, each as it is decided from what was and what is so. */
import { type AlertState, type Notice, NO_ALERTS, decideAlerts } from '../../../lib/deliver/alert/due-alerts.ts'
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import type { Episode } from '../../../lib/model/history.ts'
import type { Waiver } from '../../../lib/model/judgement.ts'
import { CHANNEL, HOSTILE } from './mail-stories.ts'
import { episode, workload } from '../stored/report-input.ts'
import type { AlertFacts, AlertPath, ClusterFacts } from '../../../lib/deliver/alert/condition-kinds.ts'

export type AlertStory = { readonly channel: Channel; readonly notice: Notice }

const at = (minutes: number): string =>
  new Date(Date.parse('2026-11-24T06:00:00Z') + minutes * 60_000).toISOString().replace('.000Z', 'Z')

const path = (
  number: number,
  opened: number,
  more: Partial<AlertPath> = {},
  end: Partial<Episode> = {},
): AlertPath => ({
  pathId: `p${number}`,
  source: workload('deployment', 'shop', 'web'),
  destination: workload('statefulset', 'bank', `ledger-${number}`),
  port: 5432,
  episode: episode(`p${number}`, at(opened), null, end),
  seen: {
    state: 'plaintext',
    outcome: 'allowed',
    reason: 'not_provided_by_service_discovery',
    cause: 'destination-not-meshed',
  },
  ...more,
})

const cluster = (more: Partial<ClusterFacts> = {}): ClusterFacts => ({
  id: 'west',
  problem: null,
  firstLookAt: null,
  episodes: [],
  windows: [-120, -60, 0].map((minutes) => ({ end: at(minutes), isObserved: true, share: null })),
  namespaces: [],
  isListed: true,
  certificate: { expires: at(24 * 60), asOf: at(0), isOfAll: true },
  trustAnchors: [{ subject: 'root.linkerd.cluster.local', sha256: 'ab', notAfter: '2027-11-24T00:00:00Z' }],
  ...more,
})

const look = (minutes: number, more: Partial<AlertFacts> = {}, ...clusters: readonly ClusterFacts[]): AlertFacts => ({
  now: at(minutes),
  clusters,
  waivers: { all: [], problem: null },
  scopeProblem: null,
  seal: { isBehind: false, since: at(minutes - 60) },
  ...more,
})

/** The notice of the last look. */
function story(looks: readonly AlertFacts[], more: Partial<Channel> = {}): AlertStory {
  const channel = { ...CHANNEL, ...more }
  let state: AlertState = NO_ALERTS
  let last: Notice | null = null
  for (const facts of looks) {
    const decided = decideAlerts(channel, state, facts)
    state = decided.state
    last = decided.notice
  }
  if (last === null) throw new Error('Cannot tell a story: its last look tells nothing')
  return { channel, notice: last }
}

const darkWindows = [-120, -60, 0].map((minutes) => ({ end: at(minutes), isObserved: minutes < -60, share: null }))

/** Everything that is told of at all, on two clusters. */
const everything = (minutes: number): AlertFacts =>
  look(
    minutes,
    {
      waivers: { all: [], problem: 'Cannot read "changes/waivers/3.json": it is damaged, put back a copy of it' },
      seal: { isBehind: true, since: at(-200) },
    },
    cluster({
      episodes: [path(1, -20), path(2, -20)],
      certificate: { expires: at(60), asOf: at(0), isOfAll: true },
      trustAnchors: [{ subject: 'root.linkerd.cluster.local', sha256: 'ab', notAfter: '2026-12-10T00:00:00Z' }],
    }),
    cluster({ id: 'east', windows: darkWindows }),
    cluster({ id: 'north', problem: 'Cannot use "state/north.json": it is damaged, run "ciphertrail rebuild"' }),
  )

const waiver: Waiver = {
  id: 'ledger-until-spring',
  destination: 'statefulset/bank/ledger-2',
  owner: 'Ada Lovelace',
  reason: 'it is being replaced',
  compensatingControl: 'a network of its own',
  expires: '2027-03-01T00:00:00Z',
}

const ended = (number: number, ending: NonNullable<Episode['ending']>): AlertPath =>
  path(number, -20, { episode: episode(`p${number}`, at(-20), at(30), { ending }) })

const hostileName = (index: number): string => HOSTILE[index % HOSTILE.length] ?? ''

/** By the name of its folder under test/golden/alert. */
export const ALERT_STORIES: Readonly<Record<string, () => AlertStory>> = {
  'new-plaintext': () => story([look(0, {}, cluster({ episodes: [path(1, -20)] }))]),
  reopened: () =>
    story([
      look(
        0,
        {},
        cluster({
          episodes: [
            path(1, -3000, { episode: episode('p1', at(-3000), at(-2000)) }),
            path(1, -20, {
              source: { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null },
              seen: {
                state: 'no-mesh-tls',
                outcome: 'allowed',
                reason: 'no_tls_from_remote',
                cause: 'source-not-meshed',
              },
            }),
          ],
        }),
      ),
    ]),
  'coverage-lost': () => story([look(15, {}, cluster({ windows: darkWindows }))]),
  'namespace-not-observed': () =>
    story(
      [
        look(
          15,
          {},
          cluster({
            namespaces: ['bank', 'care'].map((name) => ({
              name,
              windows: [-60, 0].map((minutes) => ({ end: at(minutes), isObserved: false, share: 0 })),
              seenAt: name === 'bank' ? at(-120) : null,
            })),
          }),
        ),
      ],
      { namespaces: ['bank', 'care'], id: 'pay' },
    ),
  certificate: () => story([look(5, {}, cluster({ certificate: { expires: at(60), asOf: at(0), isOfAll: true } }))]),
  'trust-anchor': () =>
    story(
      [
        look(
          5,
          {},
          cluster({
            trustAnchors: [{ subject: 'root.linkerd.cluster.local', sha256: 'ab', notAfter: '2026-12-10T00:00:00Z' }],
          }),
        ),
      ],
      { team: 'Platform' },
    ),
  'seal-behind': () => story([look(0, { seal: { isBehind: true, since: at(-200) } }, cluster())]),
  everything: () => story([everything(0)]),
  recovery: () =>
    story([
      look(
        0,
        { seal: { isBehind: true, since: at(-200) } },
        cluster({
          episodes: [1, 2, 3, 4].map((number) => path(number, -20)),
          certificate: { expires: at(60), asOf: at(0), isOfAll: true },
        }),
        cluster({ id: 'east', windows: darkWindows }),
      ),
      look(
        60,
        { seal: { isBehind: false, since: at(50) } },
        cluster({
          episodes: [ended(1, 'fixed'), ended(2, 'refused'), ended(3, 'gone'), ended(4, 'quiet')],
          certificate: { expires: at(24 * 60), asOf: at(60), isOfAll: true },
        }),
        cluster({ id: 'east', windows: [...darkWindows, { end: at(60), isObserved: true, share: null }] }),
      ),
    ]),
  waived: () =>
    story([
      look(0, {}, cluster({ episodes: [path(1, -20), path(2, -20)] }), cluster({ id: 'east', windows: darkWindows })),
      look(60, { waivers: { all: [waiver], problem: null } }, cluster({ episodes: [ended(1, 'fixed'), path(2, -20)] })),
    ]),
  'waiver-ended': () =>
    story([
      look(
        0,
        {
          waivers: {
            all: [waiver, { ...waiver, id: 'second', destination: 'statefulset/bank/ledger-1', expires: at(30) }],
            problem: null,
          },
        },
        cluster({ episodes: [path(1, -20), path(2, -20)] }),
      ),
      look(
        60,
        {
          waivers: {
            all: [{ ...waiver, id: 'second', destination: 'statefulset/bank/ledger-1', expires: at(30) }],
            problem: null,
          },
        },
        cluster({ episodes: [path(1, -20), path(2, -20)] }),
      ),
    ]),
  'hostile-names': () =>
    story(
      [
        look(
          0,
          { waivers: { all: [], problem: hostileName(0) } },
          cluster({
            id: hostileName(2),
            episodes: HOSTILE.map((name, index) =>
              path(index, -20, {
                source: workload('deployment', name, hostileName(index + 1)),
                destination: {
                  ...workload('deployment', hostileName(index + 2), name),
                  cluster: hostileName(index + 3),
                },
                seen: { state: 'plaintext', outcome: 'allowed', reason: name, cause: null },
              }),
            ),
            namespaces: HOSTILE.map((name) => ({
              name,
              windows: [-60, 0].map((minutes) => ({ end: at(minutes), isObserved: false, share: 0 })),
              seenAt: at(-120),
            })),
            trustAnchors: [{ subject: hostileName(1), sha256: 'ab', notAfter: '2026-12-10T00:00:00Z' }],
          }),
          cluster({ id: 'east', problem: hostileName(7) }),
        ),
      ],
      { team: 'Payments & <Co>' },
    ),
  '200-at-once': () =>
    story([look(0, {}, cluster({ episodes: Array.from({ length: 200 }, (_, index) => path(index, -20)) }))]),
}
