/** Who talks to whom as boxes and arrows: namespaces grouped, what asks for attention in front, no more than can be read. */
import { curvePath, layer, outlinePath } from './drawing.ts'
import type { DrawingView, Paint } from './drawing.ts'
import { layOutGraph } from './graph-layout.ts'
import type { GraphEdge, Layout } from './graph-layout.ts'
import { printable } from '../../text/printable.ts'
import { LOOKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'
import { endClass } from '../../assess/ends/path-class.ts'
import type { ClassNamespaces, PathClass, PathEnds, Source } from '../../model/path.ts'
import { CLASS_WORDS, capital, countWords, plural } from '../words/vocabulary.ts'

/** A drawing with more boxes or arrows than these shows less: first what asks for attention only, then namespaces instead of workloads. */
const MAX_NODES = 60
const MAX_EDGES = 64

// Points, as the layout.
const TEXT = 8
const SMALL_TEXT = 6.5
const CHARACTER = 0.61
const NODE_HEIGHT = 16
const NOTE_HEIGHT = 9
const MAX_NAME_LENGTH = 30
/** So many of the workloads that a client without an identity may be are named. */
const MAX_CANDIDATES = 3

/** A path as it is drawn. */
export type DrawnPath = Pick<PathEnds, 'source' | 'destination' | 'port'> & {
  readonly candidates: readonly Source[]
  readonly mark: Mark
  /** Too little was seen of it for a verdict: a `?` stands behind the shape of its mark. */
  readonly lacksEvidence?: boolean
  /** Other words and another line than those of its mark, in a drawing of what differs. */
  readonly told?: { readonly words: string; readonly paint: Paint }
}

/** Whose paths are drawn, and how it is told what is left out. */
export type FlowOptions = {
  readonly cluster: string
  readonly classes: ClassNamespaces
  /** Workloads of other classes stand in one box for the whole class. */
  readonly judged: readonly PathClass[]
  /** What is kept where not everything can be drawn. */
  readonly attention: {
    readonly isWanted: (path: DrawnPath) => boolean
    /** `that are unencrypted or unknown`, after a number of paths. */
    readonly words: (paths: number) => string
    /** `none of them unencrypted or unknown`, where none is wanted. */
    readonly noneWords: string
    /** Workloads may stay where the rest is left out. */
    readonly keepsWorkloads: boolean
  }
  /** In which order arrows are drawn: a higher one lies on a lower one, and is kept longer. */
  readonly rankOf: (path: DrawnPath) => number
  /** What the drawing shows, for those who do not see it. */
  readonly words: (boxes: number, arrows: readonly DrawnArrow[]) => string
}

/** An arrow, for the words of a drawing. */
export type DrawnArrow = {
  readonly mark: Mark
  readonly lacksEvidence: boolean
  readonly told: DrawnPath['told']
}

type Box = { readonly group: string | null; readonly name: string; readonly notes: readonly string[] }
type Arrow = DrawnArrow & {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly rank: number
  readonly paths: number
}
type Flow = { readonly boxes: ReadonlyMap<string, Box>; readonly arrows: readonly Arrow[]; readonly caption: string }

/** Draws the paths of a cluster; none where there is nothing to draw. */
export function drawFlow(paths: readonly DrawnPath[], options: FlowOptions): readonly DrawingView[] {
  if (paths.length === 0) return []
  const { boxes, arrows, caption } = flowOf(paths, options)
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
  return [draw(layout, { boxes: [...boxes.values()], arrows, groups }, caption, options)]
}

/** The most detailed flow that can still be read. */
function flowOf(paths: readonly DrawnPath[], { cluster, classes, judged, attention, rankOf }: FlowOptions): Flow {
  const all = `${plural(paths.length, 'path')} of cluster ${printable(cluster)}`
  const folded = folding(classes, judged)
  const workloads = joined(paths, { boxOf: workloadBox, folded, rankOf })
  if (fits(workloads)) return { ...workloads, caption: `${all}, between workloads.${insideWords(workloads)}` }
  const wanted = paths.filter(attention.isWanted)
  const wantedWords = `${plural(wanted.length, 'path')} of ${all} ${attention.words(wanted.length)}`
  if (attention.keepsWorkloads && wanted.length > 0) {
    const between = joined(wanted, { boxOf: workloadBox, folded, rankOf })
    if (fits(between))
      return {
        ...between,
        caption: `${wantedWords}, between workloads. All others are left out, since there are too many to draw.${insideWords(between)}`,
      }
  } else {
    const namespaces = joined(paths, { boxOf: namespaceBox, folded, rankOf })
    if (fits(namespaces))
      return {
        ...namespaces,
        caption: `${all}, between namespaces, since there are too many workloads to draw; numbers count paths.${insideWords(namespaces)}`,
      }
    if (wanted.length === 0) {
      const most = firstOf(namespaces, (a, b) => b.paths - a.paths)
      return {
        ...most,
        caption: `${all}, ${attention.noneWords}, between namespaces: the ${countWords(most.arrows.length)} of ${plural(namespaces.arrows.length, 'arrow')} with the most paths, since there are too many to draw. Numbers count paths.${insideWords(namespaces)}`,
      }
    }
  }
  const between = joined(wanted, { boxOf: namespaceBox, folded, rankOf })
  const worst = firstOf(between, (a, b) => b.rank - a.rank)
  const left = between.arrows.length - worst.arrows.length
  return {
    ...worst,
    caption: `${wantedWords}, between namespaces. All others are left out, since there are too many to draw.${left > 0 ? ` ${capital(plural(left, 'less urgent arrow'))} ${left === 1 ? 'is' : 'are'} left out, too.` : ''}`,
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
type BoxOf = (end: Source, cluster: string | null) => Boxed
type Folded = (end: Source, cluster: string | null) => Boxed | undefined

/** Workloads of a class that is not judged stand in one box for the whole class. */
function folding(classes: ClassNamespaces, judged: readonly PathClass[]): Folded {
  return (end, cluster) => {
    const of = cluster === null ? endClass(end, classes) : 'application'
    if (of === 'application' || judged.includes(of)) return undefined
    return { key: JSON.stringify(['class', of]), box: { group: null, name: capital(CLASS_WORDS[of]), notes: [] } }
  }
}

/** A workload, in its namespace. */
function workloadBox({ kind, namespace, name }: Source, cluster: string | null): Boxed {
  const group = namespace === '' ? null : printable(cluster === null ? namespace : `${namespace} on ${cluster}`)
  const shown = name === '' ? `(${kind})` : kind === 'serviceaccount' ? `account ${name}` : name
  return {
    key: JSON.stringify([cluster, namespace, kind, name]),
    box: { group, name: shortened(printable(shown)), notes: [] },
  }
}

/** A namespace; what has none stands for itself by its kind. */
function namespaceBox({ kind, namespace }: Source, cluster: string | null): Boxed {
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
  paths: readonly DrawnPath[],
  {
    boxOf,
    folded,
    rankOf,
  }: { readonly boxOf: BoxOf; readonly folded: Folded; readonly rankOf: (path: DrawnPath) => number },
): Joined {
  const boxes = new Map<string, Box>()
  const groups = new Map<string, { from: string; to: string; paths: [DrawnPath, ...DrawnPath[]] }>()
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
    const key = JSON.stringify([from.key, to.key, path.mark, path.lacksEvidence, path.told?.words])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { from: from.key, to: to.key, paths: [path] })
    else group.paths.push(path)
  }
  const arrows = [...groups.values()].map(({ from, to, paths: own }): Arrow => {
    const [{ mark, lacksEvidence = false, told }] = own
    const counted =
      boxOf === workloadBox && !classes.has(to) && !classes.has(from) ? portWords(own) : plural(own.length, 'path')
    return {
      from,
      to,
      mark,
      lacksEvidence,
      told,
      rank: rankOf(own[0]),
      paths: own.length,
      label: `${told?.words ?? `${LOOKS[mark].shape}${lacksEvidence ? LOOKS.unknown.shape : ''}`} ${counted}`,
    }
  })
  return {
    boxes,
    arrows: arrows.toSorted((a, b) => a.rank - b.rank),
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
  { source, destination, port, candidates }: DrawnPath,
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

function portWords(paths: readonly DrawnPath[]): string {
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
  { words }: Pick<FlowOptions, 'words'>,
): DrawingView {
  return {
    width: Math.ceil(layout.width),
    height: Math.ceil(layout.height),
    caption,
    words: words(boxes.length, arrows),
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
      ...arrows.map(({ mark, told }, index) => {
        const edge = layout.edges[index]
        if (edge === undefined) return layer({})
        return layer({
          lines: [{ ...edge.curve, d: curvePath(edge.curve), paint: told?.paint ?? mark }],
          heads:
            edge.head.length === 0
              ? []
              : [{ points: edge.head, d: outlinePath(edge.head), paint: told?.paint ?? mark }],
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
