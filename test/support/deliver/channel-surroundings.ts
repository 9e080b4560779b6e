import type { ChannelSurroundings } from '../../../lib/deliver/channel/check-channels.ts'

/** What a channel is checked against: one cluster, of which nothing was seen yet, nobody to write to, and no report. */
export const SURROUNDINGS: ChannelSurroundings = {
  clusters: ['prod'],
  recipients: new Map(),
  suppressions: [],
  namespaces: new Map(),
  lastReport: null,
  unreadSecrets: new Map(),
  isShared: false,
  now: '2026-11-25T00:00:00Z',
}
