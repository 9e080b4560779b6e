import { shareWords } from '../../text/share-words.ts'
/** The fixed words of a report: one table per vocabulary of the model, each complete by its type. */
import type { BlindSpot, GapReason, Workload } from '../../model/window.ts'
import type { Cause, Corroborated, Enforcement, PathClass } from '../../model/path.ts'
import type { Episode } from '../../model/history.ts'
import type { Score, WaiverResult } from '../../model/judgement.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'

/** Each cause, in words. */
export const CAUSE_WORDS: Readonly<Record<Cause, string>> = {
  'destination-not-meshed': 'the destination has no proxy',
  'destination-not-injected': 'the destination is annotated for injection, but its pods have no proxy',
  'destination-not-injectable': 'Linkerd’s injector skips the destination’s namespace',
  'destination-in-other-mesh': 'the destination’s proxy belongs to another control plane',
  'destination-on-host-network': 'the destination uses the host network, where no proxy is injected',
  'destination-skips-port': 'this port bypasses the destination’s proxy (skip-inbound-ports)',
  'destination-not-listed':
    'no Kubernetes snapshot has the destination pod: it had ended, or existed only between two snapshots',
  'source-skips-port': 'this port bypasses the source’s proxy (skip-outbound-ports)',
  'source-not-meshed': 'the source has no proxy',
  'source-not-proxied': 'the source’s connections used no proxy: it has none, or bypasses it',
  'opaque-port-unmeshed-client': 'a client reached an opaque port without a proxy: it has none, or bypasses it',
  'init-container': 'the client may be an init container that runs before linkerd-init',
  'identity-disabled': 'the proxy reports that its identity is disabled',
  'linkerd-webhook':
    'the port is a webhook or API of Linkerd, which the Kubernetes API server calls with TLS of its own',
  'kubernetes-api': 'the destination is the Kubernetes API server, which does not accept mesh TLS',
  'outside-cluster': 'the destination is outside the cluster',
  'application-tls': 'the application uses TLS of its own',
  'no-kubernetes-list':
    'no Kubernetes snapshot from before the window shows whether every pod of the source had a proxy',
  'source-partly-meshed': 'some pods of the source had no proxy, bypassed it or were not read',
  'destination-not-seen': 'the destination’s proxies were not read all the time',
  'labels-overridden': 'pod labels may overwrite what the proxy reports',
  'pod-not-listed': 'no Kubernetes snapshot confirms the pod that reported it',
  'perhaps-probes': 'the kubelet’s probes, or more than these',
  'counted-before': 'already counted when the proxy was first read: in the window or before it',
  'metrics-incomplete': 'the proxy’s counters were not read completely, or do not show it',
  'ipv6-not-proxied': 'IPv6 bypasses the proxies of both ends',
  unknown: 'unknown',
}

/** What policy says of a port, in words. */
export const ENFORCEMENT_WORDS: Readonly<Record<Enforcement, string>> = {
  'plaintext-refused': 'policy refuses plaintext on this port',
  'plaintext-allowed': 'policy allows plaintext on this port',
  audited: 'policy only logs plaintext on this port (audit)',
  unknown: 'policy unknown',
}

/** Who saw a path, in words. */
export const CORROBORATED_WORDS: Readonly<Record<Corroborated, string>> = {
  yes: 'seen by both ends',
  ambiguous: 'seen by both ends, but several workloads share the identity',
  no: 'seen by one end only',
}

/** Each reason for a gap, in words. */
export const GAP_WORDS: Readonly<Record<GapReason, string>> = {
  'scrape-refused': 'the proxy refused the scrape',
  'scrape-failed': 'the scrape failed',
  'ended-unscraped': 'the pod ended before its last scrape',
  'not-a-target': 'Prometheus did not scrape the pod',
  'prometheus-down': 'Prometheus unavailable',
  'source-unreadable': 'the source could not be read',
  'read-too-rarely': 'the proxy was scraped too rarely',
  'no-proxy': 'the pod had no proxy',
  'pod-unknown': 'the pod is in no Kubernetes snapshot',
  'window-missing': 'the window was not collected',
}

/** Why a workload has no proxy, in words. */
export const UNMESHED_WORDS: Readonly<Record<NonNullable<Workload['reason']>, string>> = {
  'not-annotated': 'no injection annotation on the workload or its namespace',
  disabled: 'injection is disabled by annotation',
  'host-network': 'pods use the host’s network, where no proxy is injected',
  'created-before-injection': 'pods are older than the annotation; a restart injects them',
  'automount-disabled': 'automountServiceAccountToken is off, and the injector refuses that here',
  'injection-skipped': 'the injector skipped the pods',
  'other-control-plane': 'the pods belong to another control plane',
}

/** Each kind of blind spot, in words. */
export const BLIND_SPOT_WORDS: Readonly<Record<BlindSpot['kind'], string>> = {
  unmeshed: 'no proxy: seen only from meshed peers',
  'skip-inbound': 'inbound port kept out of the proxy: seen only from meshed clients',
  'skip-outbound': 'outbound port kept out of the proxy: seen only by meshed servers, without a name',
  'skip-subnet': 'subnet kept out of the proxy: not seen',
  'opaque-port': 'opaque port: connections are seen, their protocol is not',
  udp: 'UDP: not seen',
  ipv6: 'IPv6 goes around the proxy: not seen',
  'init-container': 'init container before linkerd-init: its connections go around the proxy',
  'host-network': 'host network: not seen',
  'not-scraped': 'the proxy is not scraped: seen only from peers',
  'pod-unknown': 'a pod of which it is unknown whether it had a proxy',
}

/** Each kind of blind spot, in a few words. */
export const BLIND_SPOT_SHORT: Readonly<Record<BlindSpot['kind'], string>> = {
  unmeshed: 'no proxy',
  'skip-inbound': 'skipped inbound ports',
  'skip-outbound': 'skipped outbound ports',
  'skip-subnet': 'skipped subnets',
  'opaque-port': 'opaque ports',
  udp: 'UDP',
  ipv6: 'IPv6',
  'init-container': 'init containers',
  'host-network': 'host network',
  'not-scraped': 'unscraped proxies',
  'pod-unknown': 'unknown pods',
}

/** How an episode ended, in words. */
export const ENDING_WORDS: Readonly<Record<NonNullable<Episode['ending']>, string>> = {
  fixed: 'fixed: seen encrypted',
  refused: 'policy now refuses it',
  gone: 'an end of the path is gone',
  quiet: 'quiet for seven days; not known to be fixed',
}

/** How an episode of a client without a name is fixed. */
export const FIXED_UNNAMED = 'fixed: port fully observed, no plaintext'

/** Whether a workload is in the mesh, in words. */
export const MESHED_WORDS: Readonly<Record<Workload['meshed'], string>> = {
  yes: 'in the mesh',
  no: 'no proxy',
  partly: 'some pods without a proxy',
  unknown: 'not known',
}

const LACKING_WORDS = {
  no: (count: string, isOne: boolean) => `${count} ${isOne ? 'has' : 'have'} no proxy`,
  partly: (count: string, isOne: boolean) => `${count} ${isOne ? 'has' : 'have'} some pods without a proxy`,
  unknown: (count: string, isOne: boolean) => `${count} ${isOne ? 'is' : 'are'} unknown`,
}

/** Workloads that are not in the mesh, or not known to be: `4 of 21 workloads have no proxy`, or `6 of 21 workloads are not confirmed as fully meshed: 4 have no proxy, ...`. */
export function unmeshedWords(unmeshed: readonly Pick<Workload, 'meshed'>[], workloads: number): string {
  const counts = (['no', 'partly', 'unknown'] as const)
    .map((meshed) => ({ meshed, count: unmeshed.filter((workload) => workload.meshed === meshed).length }))
    .filter(({ count }) => count > 0)
  const all = `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')}`
  const [only] = counts
  if (counts.length === 1 && only !== undefined && only.meshed !== 'unknown')
    return LACKING_WORDS[only.meshed](all, only.count === 1)
  const parts = counts.map(({ meshed, count }) => LACKING_WORDS[meshed](countWords(count), count === 1))
  return `${all} ${unmeshed.length === 1 ? 'is' : 'are'} not confirmed as fully meshed: ${parts.join(', ')}`
}

/** What a reason means, by its word; Linkerd's own and ours. */
const REASON_WORDS: Readonly<Record<string, string>> = {
  not_provided_by_service_discovery: 'Linkerd knew no mesh identity for the destination',
  no_tls_from_remote: 'the client sent no mesh TLS',
  port_skipped: 'the proxy does not detect TLS on this port',
  disabled: 'identity is disabled on the proxy',
  loopback: 'the connection stayed inside the pod',
  ingress_without_override: 'ingress mode without an l5d-dst-override header',
  'application-tls': 'TLS of the application, passed through by the mesh',
  'no-server-identity': 'mesh TLS without a server identity, which Linkerd never sends',
  'labels-contradict': 'the proxy’s labels contradict each other',
  'instance-not-confirmed': 'the scraped address is not the address of the pod in the API server',
  'metrics-partly-read': 'only part of the window’s metrics was read',
  'no-port': 'the proxy named no port',
  'labels-overridden': 'pod labels overwrite the proxy’s labels, so its metrics cannot be trusted',
  'labels-overridden (not corroborated)':
    'pod labels overwrite the proxy’s labels, and no other proxy confirms what it reports',
  'destination-not-seen': 'some pods of the source may be outside the mesh, and the destination was not fully observed',
  'source-partly-unmeshed (no list)':
    'the port received unencrypted traffic from a client without a name, and no Kubernetes snapshot from before the window shows whether every pod of the source had a proxy',
  'source-partly-unmeshed':
    'while the port received unencrypted traffic from a client without a name, pods of the source had no proxy',
  'pod-not-listed': 'the pod is in no Kubernetes snapshot',
  'no list': 'no Kubernetes snapshot covers this window',
  'probe path': 'kubelet probes, no more than the pods’ probes make',
  'probe path called too often': 'more requests to the probe path than the pods’ probes make',
  'probe path called by a pod': 'a pod, not the kubelet, sent requests to the probe path',
  'probe, by its rate':
    'as many connections as the pods’ probes make; Linkerd cannot distinguish them from others here',
  'probes, or more than probes': 'perhaps more than the pods’ probes make: another client may be among them',
  'counted before the first scrape':
    'the proxy had already let it in or refused it when it was first read: in the window or at any time before',
  'no payload': 'connections without payload',
  'admin-port': 'the proxy’s own port',
  'kubernetes-api': 'outside the mesh; TLS of its own is assumed from the port and not verified',
  'ipv6-not-proxied': 'both ends have IPv6 addresses, and IPv6 bypasses their proxies',
  'no byte counters': 'connections whose bytes the proxy did not count',
  'no authorization counter moved': 'connections with payload that the proxy neither let in nor refused',
  'probe path, probes not known': 'requests to a probe path of a pod that is in no Kubernetes snapshot',
}

/** A reason in words with the raw value, so that it can be found in Linkerd's own output; the raw value alone where it is not known. */
export function reasonWords(reason: string): string {
  if (reason === '') return 'no reason was given'
  const [, word = reason, detail] = /^(.*?)(?: \((.*)\))?$/su.exec(reason) ?? []
  const meaning = Object.hasOwn(REASON_WORDS, reason)
    ? REASON_WORDS[reason]
    : Object.hasOwn(REASON_WORDS, word)
      ? REASON_WORDS[word]
      : undefined
  if (meaning === undefined) return reason
  return `${meaning}${detail === undefined || word === reason ? '' : `: ${detail}`} (${word})`
}

/** `1,204` */
export function countWords(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/gu, ',')
}

/** `1 window`, `1,204 windows` */
export function plural(value: number, noun: string, several = `${noun}s`): string {
  return `${countWords(value)} ${value === 1 ? noun : several}`
}

/** A share that some clusters are not in is told as `98.4 % where known`: a cluster that was dark must not make it look whole. */
export function knownShareWords({
  share,
  unknownClusters,
}: {
  readonly share: number | null
  readonly unknownClusters: number
}): string {
  if (share === null) return 'unknown'
  return unknownClusters === 0 ? shareWords(share) : `${shareWords(share)} where known`
}

/** `3.4 MB`, in powers of a thousand. */
export function byteWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 99.5 ? countWords(value) : value.toFixed(1)} ${units[unit] ?? 'B'}`
}

/** Whose a path is, in a sentence. */
export const CLASS_WORDS: Readonly<Record<PathClass, string>> = {
  application: 'applications',
  mesh: 'Linkerd’s own',
  platform: 'the platform',
}

/** What the period is called in a sentence. */
export const periodWord = ({ period }: Pick<Summary, 'period'>): string =>
  period.label.startsWith('Week') ? 'the week' : 'the period'

/** How much of a path's time was seen; `-` where its verdict does not depend on it. */
export function seenShareWords(share: number | null): string {
  return share === null ? '-' : shareWords(share)
}

/** What a `-` in a column “Seen” means, before other sentences; empty if all these paths have a share. */
export function seenShareNote(paths: readonly Pick<PathSummary, 'seen'>[]): string {
  return paths.every(({ seen }) => (seen?.share ?? null) !== null)
    ? ''
    : ' A “-” under “Seen”: the verdict does not depend on how much was seen.'
}

/** Words that begin a sentence. */
export const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)

/** `31 of 48 passed (64.5 %), 10 failed, 2 waived, 5 with not enough evidence`; says so where a share is not known. */
export function scoreWords({ pass, fail, waived, notEnoughEvidence, incompleteClusters, share }: Score): string {
  const judged = pass + fail + waived + notEnoughEvidence
  if (judged === 0)
    return incompleteClusters === 0
      ? 'nothing was judged, so there is no score'
      : 'nothing could be judged, since not everything in scope was monitored'
  const parts = [
    ...(fail === 0 ? [] : [`${countWords(fail)} failed`]),
    ...(waived === 0 ? [] : [`${countWords(waived)} failed and waived`]),
    ...(notEnoughEvidence === 0 ? [] : [`${countWords(notEnoughEvidence)} with not enough evidence`]),
  ]
  const known =
    share === null ? 'the share is not known, since not everything in scope was monitored' : shareWords(share)
  return [`${countWords(pass)} of ${countWords(judged)} passed (${known})`, ...parts].join(', ')
}

/** How a waiver stands, in words. */
export const WAIVER_WORDS: Readonly<Record<WaiverResult['status'], string>> = {
  'in-use': 'in use',
  unused: 'unused',
  expiring: 'ends soon',
  expired: 'expired',
}
