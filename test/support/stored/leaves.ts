import fc from 'fast-check'
import type { Leaf } from '../../../lib/seal/leaf.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'

const DAY = 24 * 60 * 60
const timeText = (time: number) => new Date(time * 1000).toISOString().replace('.000Z', 'Z')
const seconds = fc.integer({ min: 0, max: Date.UTC(9999, 11, 30) / 1000 })

/** Any window that a key can name. */
export const anyWindow = fc
  .tuple(seconds, fc.integer({ min: 1, max: DAY }))
  .map(([start, length]) => ({ start: timeText(start), end: timeText(start + length) }))

/** Any id of a cluster. */
export const anyCluster = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/)

const stored = fc.record(
  {
    sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
    size: fc.maxSafeNat(),
    versionId: fc.stringMatching(/^[ -~]{1,40}$/),
  },
  { requiredKeys: ['sha256', 'size'], noNullPrototype: true },
)

const snapshot: fc.Arbitrary<Leaf> = fc
  .tuple(anyWindow, anyCluster, fc.integer({ min: 1, max: 9999 }), stored)
  .map(([window, cluster, attempt, rest]) => ({
    kind: 'snapshot',
    cluster,
    window,
    key: evidenceKey({ window, cluster, attempt }),
    ...rest,
  }))

const other: fc.Arbitrary<Leaf> = fc
  .tuple(
    fc.constantFrom(
      ['registry-change', 'changes/clusters/'] as const,
      ['scope-change', 'changes/scope/'] as const,
      ['waiver-change', 'changes/waivers/'] as const,
      ['channel-change', 'changes/channels/'] as const,
      ['report', 'reports/'] as const,
      ['review', 'reviews/'] as const,
    ),
    fc.stringMatching(/^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,30}$/),
    stored,
  )
  .map(([[kind, prefix], name, rest]) => ({ kind, key: `${prefix}${name}`, ...rest }))

const gap: fc.Arbitrary<Leaf> = fc
  .tuple(anyWindow, anyCluster)
  .map(([window, cluster]) => ({ kind: 'gap', cluster, window, reason: 'no-attempt' }))

/** Any entry of a log. */
export const anyLeaf: fc.Arbitrary<Leaf> = fc.oneof(
  snapshot,
  other,
  gap,
  seconds.map((time): Leaf => ({ kind: 'heartbeat', time: timeText(time) })),
)
