/** Workloads by namespace: in the mesh or not and why, what no proxy sees of them, and how many of their paths are open. */
import type { Workload } from '../../model/window.ts'
import { wordingOf } from '../../report/words/report-context.ts'
import { endpointName } from '../../report/table-cells.ts'
import { endpointKey } from '../../report/summary/path-summary.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { BLIND_SPOT_WORDS, MESHED_WORDS, UNMESHED_WORDS, countWords, plural } from '../../report/words/vocabulary.ts'
import { compareText } from '../../text/order.ts'
import { printable } from '../../text/printable.ts'
import { shareWords } from '../../text/share-words.ts'
import { statusLine } from './frame.ts'
import { type ListedPath, isListedOpen, listedPaths } from './listed-paths.ts'
import type { MakePage } from './page.ts'
import { type SiteQuery, hrefOf } from './page-query.ts'
import { namespaceChoices } from './paths-page.ts'

/** Makes the page of workloads. */
export const workloadsPage: MakePage = async ({ query, grant }, { history }) => {
  const [{ summary }, clusters] = await Promise.all([
    history.status({ grant, cluster: query.cluster, at: query.at }),
    history.clusters({ grant, cluster: null }),
  ])
  const { dates } = wordingOf(summary, { isPage: true })
  const all = summary.clusters.flatMap(({ workloads }) => workloads)
  const shown = all.filter(({ namespace }) => query.namespace === null || printable(namespace) === query.namespace)
  // Of every class, as the links to them list them.
  const open = listedPaths(summary, { class: 'all', namespace: null, workload: null }).filter(isListedOpen)
  const groups = [...Map.groupBy(shown, ({ namespace }) => namespace)].toSorted(([a], [b]) => compareText(a, b))
  return {
    title: 'Workloads',
    template: 'workloads',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      words:
        all.length === 0
          ? 'No Kubernetes snapshot could be read in the last seven days, so no workload is known.'
          : `${countWords(summary.unmeshed.length)} of ${plural(summary.workloads, 'workload')} ${summary.unmeshed.length === 1 ? 'is' : 'are'} not confirmed as fully meshed, by the latest Kubernetes snapshot; what was seen is of ${dates.range(summary.period.from, summary.period.to)} (UTC).`,
      at: query.past ?? '',
      clusters: clusters.map(({ id }) => ({ value: id, isCurrent: id === query.cluster })),
      namespaces: namespaceChoices(
        all.map(({ namespace }) => namespace),
        query.namespace,
      ),
      groups: groups.map(([namespace, workloads]) => ({
        title: printable(namespace === '' ? 'without a namespace' : namespace),
        href: hrefOf('/paths', { at: query.past, cluster: query.cluster, namespace, class: 'all' }),
        note: `${plural(workloads.length, 'workload')}, ${countWords(workloads.filter(({ meshed }) => meshed === 'yes').length)} in the mesh`,
        caption: `Workloads of ${namespace === '' ? 'no namespace' : printable(namespace)}`,
        rows: workloads.map((workload) => rowOf(summary, workload, open, query)),
      })),
      none: 'No workload of these is known.',
    },
  }
}

function rowOf(summary: Summary, workload: Workload, open: readonly ListedPath[], { past }: SiteQuery) {
  const { cluster, kind, namespace, name, meshed, reason, serviceAccount, blindSpots, pods } = workload
  const key = endpointKey(workload)
  const coverage = summary.clusters
    .find(({ id }) => id === cluster)
    ?.coverage.find((row) => endpointKey(row.workload) === key)
  const own = open.filter(
    ({ path }) =>
      path.cluster === cluster &&
      (endpointKey(path.source) === key ||
        (path.destination.cluster === null && endpointKey(path.destination) === key)),
  )
  return {
    href: hrefOf('/paths', { at: past, cluster, namespace, workload: `${kind}/${name}`, class: 'all' }),
    name: endpointName({ kind, namespace: '', name }),
    account: serviceAccount === null ? '' : printable(serviceAccount),
    meshed: MESHED_WORDS[meshed],
    why: reason === null ? '' : UNMESHED_WORDS[reason],
    pods: countWords(pods),
    blind: blindWords(blindSpots),
    observed: coverage?.ratio === null || coverage === undefined ? 'unknown' : shareWords(coverage.ratio),
    open: openWords(own.length, own.filter(({ openUnseen }) => openUnseen !== null).length),
  }
}

/** What hides traffic, a line for all ports of which the same is said. */
function blindWords(blindSpots: Workload['blindSpots']): readonly string[] {
  const told = blindSpots.filter(({ kind }) => kind !== 'unmeshed')
  return [...Map.groupBy(told, ({ kind }) => kind)].map(([kind, own]) => {
    const ports = own.flatMap(({ port }) => port ?? []).map(printable)
    const named = ports.length === 0 ? '' : `${ports.length === 1 ? 'port' : 'ports'} ${ports.join(', ')}: `
    return `${named}${BLIND_SPOT_WORDS[kind]}`
  })
}

function openWords(open: number, unseen: number): string {
  if (open === 0) return '–'
  if (unseen === 0) return `${countWords(open)} open`
  return open === unseen
    ? `${countWords(open)} open when last seen`
    : `${countWords(open)} open, ${countWords(unseen)} of them when last seen`
}
