/** Where the boxes and arrows of a graph go, by Graphviz. Names never reach it: only numbers and sizes do. */
import { setFlagsFromString } from 'node:v8'
import { instance } from '@viz-js/viz'
import * as z from 'zod'
import type { Curve } from './drawing.ts'

/** Sizes are in points, as everything here. `group` is the index of a group, or null. */
export type GraphNode = { readonly width: number; readonly height: number; readonly group: number | null }
/** Ends are indexes of nodes. */
export type GraphEdge = { readonly from: number; readonly to: number; readonly labelWidth: number }
/** The room that a group's name takes. */
export type GraphGroup = { readonly labelWidth: number }

type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** In the order of what was given; `y` grows downwards. */
export type Layout = {
  readonly width: number
  readonly height: number
  readonly groups: readonly Box[]
  readonly nodes: readonly Box[]
  readonly edges: readonly {
    readonly curve: Curve
    readonly head: readonly (readonly [number, number])[]
    /** The middle of its label. */
    readonly label: readonly [number, number]
  }[]
}

// Compiled once, when the first report is made, and not optimised: that takes as long as a layout, and memory, and there is one layout for each cluster.
setFlagsFromString(`--wasm-tiering-budget=${2 ** 31 - 1}`)
const graphviz = await instance()
setFlagsFromString('--wasm-tiering-budget=13000000')

const LABEL_HEIGHT = 11

const pair = z.tuple([z.number(), z.number()])
const draw = z.array(z.object({ op: z.string(), points: z.array(pair).optional() }))
const laidOut = z.object({
  bb: z.string(),
  objects: z.array(z.object({ name: z.string(), bb: z.string().optional(), pos: z.string().optional() })).default([]),
  edges: z.array(z.object({ id: z.string(), lp: z.string(), _draw_: draw, _hdraw_: draw })).default([]),
})

/**
 * Lays a graph out from left to right. The same graph gives the same layout on every machine, since Graphviz runs as WebAssembly
 * and measures no font. Undefined where it finds none.
 */
export function layOutGraph(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  groups: readonly GraphGroup[],
): Layout | undefined {
  const nodeOf = ({ width, height }: GraphNode, index: number) => ({
    name: `n${index}`,
    attributes: { width: width / 72, height: height / 72 },
  })
  const result = graphviz.render(
    {
      directed: true,
      graphAttributes: { rankdir: 'LR', nodesep: 0.12, ranksep: 0.35, pad: 0 },
      nodeAttributes: { shape: 'box', fixedsize: true, label: '' },
      edgeAttributes: { arrowsize: 0.55 },
      nodes: nodes.flatMap((node, index) => (node.group === null ? [nodeOf(node, index)] : [])),
      subgraphs: groups.map(({ labelWidth }, group) => ({
        name: `cluster_${group}`,
        graphAttributes: { margin: 7, labeljust: 'l', label: { html: blank(labelWidth) } },
        nodes: nodes.flatMap((node, index) => (node.group === group ? [nodeOf(node, index)] : [])),
      })),
      edges: edges.map(({ from, to, labelWidth }, index) => ({
        tail: `n${from}`,
        head: `n${to}`,
        attributes: { id: String(index), label: { html: blank(labelWidth) } },
      })),
    },
    { format: 'json', yInvert: true },
  )
  if (result.status !== 'success') return undefined
  const { bb, objects, edges: drawn } = laidOut.parse(JSON.parse(result.output))
  const all = boxOf(bb)
  const byName = new Map(objects.map((object) => [object.name, object]))
  const byId = new Map(drawn.map((edge) => [edge.id, edge]))
  return {
    width: round(all.width),
    height: round(all.height),
    groups: groups.map((_, group) => boxOf(byName.get(`cluster_${group}`)?.bb ?? '')),
    nodes: nodes.map(({ width, height }, index) => {
      const [x = 0, y = 0] = numbersOf(byName.get(`n${index}`)?.pos ?? '')
      return { x: round(x - width / 2), y: round(y - height / 2), width, height }
    }),
    edges: edges.map((_, index) => {
      const edge = byId.get(String(index))
      const [x = 0, y = 0] = numbersOf(edge?.lp ?? '')
      return {
        curve: curveOf(edge?._draw_.find(({ op }) => op === 'b')?.points ?? []),
        head: (edge?._hdraw_.find(({ op }) => op === 'P')?.points ?? []).map(
          ([px, py]) => [round(px), round(py)] as const,
        ),
        label: [round(x), round(y)],
      }
    }),
  }
}

/** Room for a label that is drawn later. */
function blank(width: number): string {
  return `<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0"><TR><TD FIXEDSIZE="TRUE" WIDTH="${Math.ceil(width)}" HEIGHT="${LABEL_HEIGHT}"></TD></TR></TABLE>`
}

const numbersOf = (list: string): readonly number[] => list.split(',').map(Number)

function boxOf(bb: string): Box {
  const [left = 0, bottom = 0, right = 0, top = 0] = numbersOf(bb)
  return {
    x: round(left),
    y: round(Math.min(top, bottom)),
    width: round(right - left),
    height: round(Math.abs(bottom - top)),
  }
}

function curveOf(points: readonly (readonly [number, number])[]): Curve {
  const [[x, y] = [0, 0], ...rest] = points
  const pieces: Curve['pieces'][number][] = []
  for (let index = 0; index + 2 < rest.length; index += 3) {
    const [a = [0, 0], b = [0, 0], c = [0, 0]] = rest.slice(index, index + 3)
    pieces.push([round(a[0]), round(a[1]), round(b[0]), round(b[1]), round(c[0]), round(c[1])])
  }
  return { start: [round(x), round(y)], pieces }
}

const round = (value: number): number => Math.round(value * 10) / 10
