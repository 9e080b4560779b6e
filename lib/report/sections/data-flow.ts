/** Who talks to whom, drawn from what was observed: namespaces grouped, what was not encrypted in front. */
import { curvePath, layer, outlinePath } from '../drawing/drawing.ts'
import type { DrawingView } from '../drawing/drawing.ts'
import { layOutGraph } from '../drawing/graph-layout.ts'
import type { GraphEdge, Layout } from '../drawing/graph-layout.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { LOOKS, MARKS } from '../drawing/state-looks.ts'
import type { Mark } from '../drawing/state-looks.ts'
import { isClear } from '../summary/path-summary.ts'
import { endClass } from '../../assess/ends/path-class.ts'
import type { PathClass } from '../../model/path.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'
import { CLASS_WORDS, capital, countWords, plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** A drawing with more boxes or arrows than these shows namespaces instead of workloads; one with more still, only what asks for attention. */
const MAX_NODES = 60
const MAX_EDGES = 64

// Points, as the layout.
const TEXT = 8
const SMALL_TEXT = 6.5
const CHARACTER = 0.61
const NODE_HEIGHT = 16
const NOTE_HEIGHT = 9
const MAX_NAME_LENGTH = 30
/** A page of paper is as wide; what is wider lies on its side. */
const PAGE_WIDTH = 499
/** A drawing that is higher has a page of its own. */
const SMALL_HEIGHT = 200
/** So many of the workloads that a client without an identity may be are named. */
const MAX_CANDIDATES = 3

/** A drawing of who talks to whom, for each cluster. */
export function dataFlowSection(wording: Wording): SectionView {
  const { summary } = wording
  const drawings = summary.clusters.flatMap((cluster) =>
    drawCluster(
      cluster,
      summary.settings.judgedClasses,
      summary.paths.filter((path) => path.cluster === cluster.id && path.observedWindows > 0 && path.mark !== 'exempt'),
    ),
  )
  return section('data-flow', 'Data flow, as observed', {
    isOnNewPage: drawings.some(({ width, height }) => width > PAGE_WIDTH || height > SMALL_HEIGHT),
    isLandscape: drawings.some(({ width, height }) => width > PAGE_WIDTH && width > height),
    paragraphs: drawings.length === 0 ? ['No traffic was seen that could be drawn.'] : [explained(summary)],
    drawings,
  })
}

function explained({ paths }: Summary): string {
  return [
    'Drawn from observed traffic only; exempt traffic is left out. Each arrow shows the worst state of its paths: thick for plaintext, dashed for no mesh TLS, dotted for unknown. Numbers on arrows are ports. Each (unmeshed) box is the clients without a mesh identity at one port.',
    ...(paths.some(({ candidates }) => candidates.length > 0)
      ? ['“perhaps” names the workloads that such a client may be.']
      : []),
    ...(paths.some(({ source }) => source.kind === 'serviceaccount')
      ? ['“account” names a client of which only the ServiceAccount is known.']
      : []),
  ].join(' ')
}

type Box = { readonly group: string | null; readonly name: string; readonly notes: readonly string[] }
type Arrow = {
  readonly from: string
  readonly to: string
  readonly mark: Mark
  readonly label: string
  readonly paths: number
}
type Flow = { readonly boxes: ReadonlyMap<string, Box>; readonly arrows: readonly Arrow[]; readonly caption: string }

function drawCluster(
  cluster: ClusterSummary,
  judged: readonly PathClass[],
  paths: readonly PathSummary[],
): readonly DrawingView[] {
  if (paths.length === 0) return []
  const { boxes, arrows, caption } = flowOf(cluster, judged, paths)
  if (boxes.size === 0) return []
  const names = [...boxes.keys()]
  const indexes = new Map(names.map((name, index) => [name, index]))
  const groups = [...new Set([...boxes.values()].flatMap(({ group }) => (group === null ? [] : [group])))]
  const layout = layOutGraph(
    [...boxes.values()].map(({ name, group, notes }) => ({
      width: Math.ceil(
        Math.max(name.length * CHARACTER * TEXT, ...notes.map((note) => note.length * CHARACTER * SMALL_TEXT)) + 10,
      ),
      height: NODE_HEIGHT + notes.length * NOTE_HEIGHT,
      group: group === null ? null : groups.indexOf(group),
    })),
    arrows.map(({ from, to, label }): GraphEdge => ({
      from: indexes.get(from) ?? 0,
      to: indexes.get(to) ?? 0,
      labelWidth: label.length * CHARACTER * TEXT + 4,
    })),
    groups.map((name) => ({ labelWidth: name.length * CHARACTER * TEXT + 4 })),
  )
  if (layout === undefined) return []
  return [draw(layout, { boxes: [...boxes.values()], arrows, groups }, caption)]
}

/** The most detailed flow that can still be read. */
function flowOf(cluster: ClusterSummary, judged: readonly PathClass[], paths: readonly PathSummary[]): Flow {
  const all = `${plural(paths.length, 'path')} of cluster ${printable(cluster.id)}`
  const folded = folding(cluster, judged)
  const workloads = joined(paths, { boxOf: workloadBox, folded })
  if (fits(workloads)) return { ...workloads, caption: `${all}, between workloads.${insideWords(workloads)}` }
  const namespaces = joined(paths, { boxOf: namespaceBox, folded })
  if (fits(namespaces))
    return {
      ...namespaces,
      caption: `${all}, between namespaces, since there are too many workloads to draw; numbers count paths.${insideWords(namespaces)}`,
    }
  const open = paths.filter(({ mark }) => isClear(mark) || mark === 'unknown')
  if (open.length === 0) {
    const most = firstOf(namespaces, (a, b) => b.paths - a.paths)
    return {
      ...most,
      caption: `${all}, none of them unencrypted or unknown, between namespaces: the ${countWords(most.arrows.length)} of ${plural(namespaces.arrows.length, 'arrow')} with the most paths, since there are too many to draw. Numbers count paths.${insideWords(namespaces)}`,
    }
  }
  const attention = joined(open, { boxOf: namespaceBox, folded })
  const worst = firstOf(attention, (a, b) => MARKS.indexOf(a.mark) - MARKS.indexOf(b.mark))
  const left = attention.arrows.length - worst.arrows.length
  return {
    ...worst,
    caption: `${plural(open.length, 'path')} of ${all} that ${open.length === 1 ? 'is' : 'are'} unencrypted or unknown, between namespaces. All others are left out, since there are too many to draw.${left > 0 ? ` ${capital(plural(left, 'less urgent arrow'))} ${left === 1 ? 'is' : 'are'} left out, too.` : ''}`,
  }
}

/** As many arrows as can be read, those that come first by an order, with their boxes; the first is drawn last, so in front. */
function firstOf(flow: Joined, compare: (a: Arrow, b: Arrow) => number): Pick<Flow, 'boxes' | 'arrows'> {
  const used = new Set<string>()
  const arrows = flow.arrows
    .toSorted(compare)
    .slice(0, MAX_EDGES)
    .filter(({ from, to }) => {
      if (new Set([...used, from, to]).size > MAX_NODES) return false
      used.add(from).add(to)
      return true
    })
  return {
    boxes: new Map([...flow.boxes].filter(([key]) => used.has(key))),
    arrows: arrows.toReversed(),
  }
}

const fits = ({ boxes, arrows }: Pick<Flow, 'boxes' | 'arrows'>): boolean =>
  boxes.size <= MAX_NODES && arrows.length <= MAX_EDGES

function insideWords({ inside, foldedBoxes }: Joined): string {
  if (foldedBoxes === 0) return ''
  return ` Linkerd’s own workloads are one box, and so are those of the platform${inside === 0 ? '' : `; ${plural(inside, 'path')} inside these boxes ${inside === 1 ? 'is' : 'are'} not drawn`}.`
}

type Boxed = { readonly key: string; readonly box: Box }
type BoxOf = (end: PathSummary['source'], cluster: string | null) => Boxed
type Folded = (end: PathSummary['source'], cluster: string | null) => Boxed | undefined

/** Workloads of a class that is not judged stand in one box for the whole class. */
function folding({ classes }: ClusterSummary, judged: readonly PathClass[]): Folded {
  return (end, cluster) => {
    const of = cluster === null ? endClass(end, classes) : 'application'
    if (of === 'application' || judged.includes(of)) return undefined
    return { key: JSON.stringify(['class', of]), box: { group: null, name: capital(CLASS_WORDS[of]), notes: [] } }
  }
}

/** A workload, in its namespace. */
function workloadBox({ kind, namespace, name }: PathSummary['source'], cluster: string | null): Boxed {
  const group = namespace === '' ? null : printable(cluster === null ? namespace : `${namespace} on ${cluster}`)
  const shown = name === '' ? `(${kind})` : kind === 'serviceaccount' ? `account ${name}` : name
  return {
    key: JSON.stringify([cluster, namespace, kind, name]),
    box: { group, name: shortened(printable(shown)), notes: [] },
  }
}

/** A namespace; what has none stands for itself by its kind. */
function namespaceBox({ kind, namespace }: PathSummary['source'], cluster: string | null): Boxed {
  const shown = namespace === '' ? `(${kind})` : cluster === null ? namespace : `${namespace} on ${cluster}`
  return {
    key: JSON.stringify([cluster, namespace, namespace === '' ? kind : '']),
    box: { group: null, name: shortened(printable(shown)), notes: [] },
  }
}

/** A long name keeps its beginning and its end; the whole name stands in the tables. */
function shortened(name: string): string {
  const characters = Array.from(name)
  if (characters.length <= MAX_NAME_LENGTH) return name
  return `${characters.slice(0, MAX_NAME_LENGTH - 12).join('')}…${characters.slice(-11).join('')}`
}

type Joined = Pick<Flow, 'boxes' | 'arrows'> & {
  /** Paths of which both ends stand in one box of a class. */
  readonly inside: number
  readonly foldedBoxes: number
}

/** Paths between the same two boxes with the same state are one arrow. What asks for attention is drawn last, so in front. */
function joined(
  paths: readonly PathSummary[],
  { boxOf, folded }: { readonly boxOf: BoxOf; readonly folded: Folded },
): Joined {
  const boxes = new Map<string, Box>()
  const groups = new Map<string, { from: string; to: string; mark: Mark; paths: PathSummary[] }>()
  const classes = new Set<string>()
  let inside = 0
  for (const path of paths) {
    const into = folded(path.destination, path.destination.cluster)
    const outOf = folded(path.source, null)
    for (const one of [into, outOf]) if (one !== undefined) classes.add(one.key)
    const to = into ?? boxOf(path.destination, path.destination.cluster)
    const from = outOf ?? sourceBox(boxOf(path.source, null), to, path, boxOf === workloadBox && into === undefined)
    if (from.key === to.key && into !== undefined) {
      inside += 1
      continue
    }
    const known = boxes.get(from.key)
    boxes.set(from.key, known === undefined ? from.box : { ...known, notes: united(known.notes, from.box.notes) })
    boxes.set(to.key, to.box)
    const key = JSON.stringify([from.key, to.key, path.mark])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { from: from.key, to: to.key, mark: path.mark, paths: [path] })
    else group.paths.push(path)
  }
  const arrows = [...groups.values()].map(({ from, to, mark, paths: own }) => ({
    from,
    to,
    mark,
    paths: own.length,
    label: `${LOOKS[mark].shape} ${boxOf === workloadBox && !classes.has(to) && !classes.has(from) ? portWords(own) : plural(own.length, 'path')}`,
  }))
  return {
    boxes,
    arrows: arrows.toSorted((a, b) => MARKS.indexOf(b.mark) - MARKS.indexOf(a.mark)),
    inside,
    foldedBoxes: classes.size,
  }
}

const united = (a: readonly string[], b: readonly string[]): readonly string[] =>
  b.length === 0 ? a : [...new Set([...a, ...b])].slice(0, MAX_CANDIDATES + 1)

/** Clients without a name are others at each port that they reach: one box for all would say that they are one. */
function sourceBox(
  from: Boxed,
  to: Boxed,
  { source, destination, port, candidates }: PathSummary,
  atPort: boolean,
): Boxed {
  if (source.name !== '') return from
  if (!atPort) {
    const place = destination.namespace === '' || to.key.startsWith('["class"') ? to.key : destination.namespace
    return { ...from, key: JSON.stringify([from.key, place]) }
  }
  const named = candidates.slice(0, MAX_CANDIDATES).map((one) => `perhaps ${shortened(printable(one.name))}`)
  const left = candidates.length - named.length
  return {
    key: JSON.stringify([from.key, to.key, port]),
    box: { ...from.box, notes: left > 0 ? [...named, `or ${left} more`] : named },
  }
}

function portWords(paths: readonly PathSummary[]): string {
  const ports = [...new Set(paths.map(({ port }) => port))].toSorted((a, b) => a - b)
  return ports.length <= 3 ? ports.join(' ') : `${ports.length} ports`
}

function draw(
  layout: Layout,
  {
    boxes,
    arrows,
    groups,
  }: { readonly boxes: readonly Box[]; readonly arrows: readonly Arrow[]; readonly groups: readonly string[] },
  caption: string,
): DrawingView {
  const open = arrows.filter(({ mark }) => isClear(mark)).length
  const unknown = arrows.filter(({ mark }) => mark === 'unknown').length
  return {
    width: Math.ceil(layout.width),
    height: Math.ceil(layout.height),
    caption,
    words: `Data flow: ${plural(boxes.length, 'box', 'boxes')}, ${plural(arrows.length, 'arrow')}, ${open} of them unencrypted and ${unknown} unknown. The tables of paths hold the same.`,
    layers: [
      layer({
        boxes: layout.groups.map((box) => ({ ...box, paint: 'group' })),
        labels: layout.groups.map(({ x, y }, index) => ({
          x: x + 7,
          y: y + 12,
          text: groups[index] ?? '',
          anchor: 'start',
          size: TEXT,
          paint: 'quiet',
        })),
      }),
      ...arrows.map(({ mark }, index) => {
        const edge = layout.edges[index]
        if (edge === undefined) return layer({})
        return layer({
          lines: [{ ...edge.curve, d: curvePath(edge.curve), paint: mark }],
          heads: edge.head.length === 0 ? [] : [{ points: edge.head, d: outlinePath(edge.head), paint: mark }],
        })
      }),
      // Above all lines, so that none crosses a label.
      layer({
        labels: arrows.flatMap(({ label }, index) => {
          const edge = layout.edges[index]
          if (edge === undefined) return []
          const [x, y] = edge.label
          return [{ x, y: y + TEXT * 0.35, text: label, anchor: 'middle' as const, size: TEXT, paint: 'ink' as const }]
        }),
      }),
      layer({
        boxes: layout.nodes.map((box) => ({ ...box, paint: 'ground' })),
        labels: layout.nodes.flatMap(({ x, y, width }, index) => [
          {
            x: x + width / 2,
            y: y + NODE_HEIGHT / 2 + TEXT * 0.35,
            text: boxes[index]?.name ?? '',
            anchor: 'middle' as const,
            size: TEXT,
            paint: 'ink' as const,
          },
          ...(boxes[index]?.notes ?? []).map((note, line) => ({
            x: x + width / 2,
            y: y + NODE_HEIGHT + line * NOTE_HEIGHT + SMALL_TEXT * 0.7,
            text: note,
            anchor: 'middle' as const,
            size: SMALL_TEXT,
            paint: 'quiet' as const,
          })),
        ]),
      }),
    ],
  }
}
