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
import type { PathSummary } from '../summary/path-summary.ts'
import { plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** A drawing with more boxes or arrows than these shows namespaces instead of workloads; one with more still, only what asks for attention. */
const MAX_NODES = 34
const MAX_EDGES = 48

// Points, as the layout.
const TEXT = 8
const CHARACTER = 0.61 * TEXT
const NODE_HEIGHT = 16
const MAX_NAME_LENGTH = 30

/** A drawing of who talks to whom, for each cluster. */
export function dataFlowSection(wording: Wording): SectionView {
  const { summary } = wording
  const drawings = summary.clusters.flatMap(({ id }) =>
    drawCluster(
      id,
      summary.paths.filter(
        ({ cluster, observedWindows, mark }) => cluster === id && observedWindows > 0 && mark !== 'exempt',
      ),
    ),
  )
  return section('data-flow', 'Data flow, as observed', {
    isOnNewPage: drawings.length > 0,
    paragraphs: [
      drawings.length === 0
        ? 'No traffic was seen that could be drawn.'
        : 'Drawn from what was seen in the period, not from what was planned: what nobody saw is not in it. Exempt traffic is left out. An arrow has the worst state of what it stands for, as a shape, a colour and a kind of line: thick where it is known to be clear, dashed without mesh TLS, dotted where it is unknown.',
    ],
    drawings,
  })
}

type Box = { readonly group: string | null; readonly name: string }
type Arrow = { readonly from: string; readonly to: string; readonly mark: Mark; readonly label: string }
type Flow = { readonly boxes: ReadonlyMap<string, Box>; readonly arrows: readonly Arrow[]; readonly caption: string }

function drawCluster(id: string, paths: readonly PathSummary[]): readonly DrawingView[] {
  if (paths.length === 0) return []
  const { boxes, arrows, caption } = flowOf(printable(id), paths)
  const names = [...boxes.keys()]
  const indexes = new Map(names.map((name, index) => [name, index]))
  const groups = [...new Set([...boxes.values()].flatMap(({ group }) => (group === null ? [] : [group])))]
  const layout = layOutGraph(
    [...boxes.values()].map(({ name, group }) => ({
      width: Math.ceil(name.length * CHARACTER + 10),
      height: NODE_HEIGHT,
      group: group === null ? null : groups.indexOf(group),
    })),
    arrows.map(({ from, to, label }): GraphEdge => ({
      from: indexes.get(from) ?? 0,
      to: indexes.get(to) ?? 0,
      labelWidth: label.length * CHARACTER + 4,
    })),
    groups.map((name) => ({ labelWidth: name.length * CHARACTER + 4 })),
  )
  if (layout === undefined) return []
  return [draw(layout, { boxes: [...boxes.values()], arrows, groups }, caption)]
}

/** The most detailed flow that can still be read. */
function flowOf(cluster: string, paths: readonly PathSummary[]): Flow {
  const all = `${plural(paths.length, 'path')} of cluster ${cluster}`
  const workloads = { ...joined(paths, workloadBox), caption: `${all}, between workloads.` }
  if (fits(workloads)) return workloads
  const namespaces = {
    ...joined(paths, namespaceBox),
    caption: `${all}, between namespaces, since there are too many workloads to draw; numbers count paths.`,
  }
  if (fits(namespaces)) return namespaces
  const open = paths.filter(({ mark }) => isClear(mark) || mark === 'unknown')
  const attention = joined(open, namespaceBox)
  const arrows = attention.arrows.toSorted((a, b) => MARKS.indexOf(a.mark) - MARKS.indexOf(b.mark)).slice(0, MAX_EDGES)
  const used = new Set(arrows.flatMap(({ from, to }) => [from, to]))
  const left = attention.arrows.length - arrows.length
  return {
    boxes: new Map([...attention.boxes].filter(([key]) => used.has(key))),
    arrows,
    caption: `${plural(open.length, 'path')} of ${all} that ${open.length === 1 ? 'was' : 'were'} not encrypted or could not be told, between namespaces; all others are left out, since there are too many to draw.${left > 0 ? ` Of these, ${plural(left, 'arrow')} more ${left === 1 ? 'is' : 'are'} left out, the less urgent.` : ''}`,
  }
}

const fits = ({ boxes, arrows }: Pick<Flow, 'boxes' | 'arrows'>): boolean =>
  boxes.size <= MAX_NODES && arrows.length <= MAX_EDGES

type Boxed = { readonly key: string; readonly box: Box }

/** A workload, in its namespace. */
function workloadBox({ kind, namespace, name }: PathSummary['source'], cluster: string | null): Boxed {
  const group = namespace === '' ? null : printable(cluster === null ? namespace : `${namespace} on ${cluster}`)
  const shown = name === '' ? `(${kind})` : kind === 'serviceaccount' ? `account ${name}` : name
  return { key: JSON.stringify([cluster, namespace, kind, name]), box: { group, name: shortened(printable(shown)) } }
}

/** A namespace; what has none stands for itself by its kind. */
function namespaceBox({ kind, namespace }: PathSummary['source'], cluster: string | null): Boxed {
  const shown = namespace === '' ? `(${kind})` : cluster === null ? namespace : `${namespace} on ${cluster}`
  return {
    key: JSON.stringify([cluster, namespace, namespace === '' ? kind : '']),
    box: { group: null, name: shortened(printable(shown)) },
  }
}

/** A long name keeps its beginning and its end; the whole name stands in the tables. */
function shortened(name: string): string {
  const characters = Array.from(name)
  if (characters.length <= MAX_NAME_LENGTH) return name
  return `${characters.slice(0, MAX_NAME_LENGTH - 12).join('')}…${characters.slice(-11).join('')}`
}

/** Paths between the same two boxes with the same state are one arrow. What asks for attention is drawn last, so in front. */
function joined(
  paths: readonly PathSummary[],
  boxOf: (end: PathSummary['source'], cluster: string | null) => Boxed,
): Pick<Flow, 'boxes' | 'arrows'> {
  const boxes = new Map<string, Box>()
  const groups = new Map<string, { from: string; to: string; mark: Mark; paths: PathSummary[] }>()
  for (const path of paths) {
    const to = boxOf(path.destination, path.destination.cluster)
    const from = sourceBox(boxOf(path.source, null), to, path)
    boxes.set(from.key, from.box)
    boxes.set(to.key, to.box)
    const key = JSON.stringify([from.key, to.key, path.mark])
    const known = groups.get(key)
    if (known === undefined) groups.set(key, { from: from.key, to: to.key, mark: path.mark, paths: [path] })
    else known.paths.push(path)
  }
  const arrows = [...groups.values()].map(({ from, to, mark, paths: own }) => ({
    from,
    to,
    mark,
    label: `${LOOKS[mark].shape} ${boxOf === workloadBox ? portWords(own) : String(own.length)}`,
  }))
  return { boxes, arrows: arrows.toSorted((a, b) => MARKS.indexOf(b.mark) - MARKS.indexOf(a.mark)) }
}

/** Clients without a name are others in each namespace that they reach: one box for all would say that they are one. */
function sourceBox(from: Boxed, to: Boxed, { source, destination }: PathSummary): Boxed {
  if (source.name !== '') return from
  return { ...from, key: JSON.stringify([from.key, destination.namespace === '' ? to.key : destination.namespace]) }
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
    words: `Data flow: ${plural(boxes.length, 'box', 'boxes')}, ${plural(arrows.length, 'arrow')}, of which ${open} not encrypted and ${unknown} unknown. The same stands in the tables of paths.`,
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
      ...arrows.map(({ mark, label }, index) => {
        const edge = layout.edges[index]
        if (edge === undefined) return layer({})
        const [x, y] = edge.label
        return layer({
          lines: [{ ...edge.curve, d: curvePath(edge.curve), paint: mark }],
          heads: edge.head.length === 0 ? [] : [{ points: edge.head, d: outlinePath(edge.head), paint: mark }],
          labels: [{ x, y: y + TEXT * 0.35, text: label, anchor: 'middle', size: TEXT - 0.5, paint: 'ink' }],
        })
      }),
      layer({
        boxes: layout.nodes.map((box) => ({ ...box, paint: 'ground' })),
        labels: layout.nodes.map(({ x, y, width, height }, index) => ({
          x: x + width / 2,
          y: y + height / 2 + TEXT * 0.35,
          text: boxes[index]?.name ?? '',
          anchor: 'middle',
          size: TEXT,
          paint: 'ink',
        })),
      }),
    ],
  }
}
