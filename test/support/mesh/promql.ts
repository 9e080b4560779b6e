import type { Seconds } from '../../../lib/model/time.ts'

/**
 * Prometheus 2 in the process, as far as the collector's queries need it: it reads the text of a query and answers from samples as
 * Prometheus does, staleness included. test/system/stories.test.ts holds it against a real one.
 */

export type Labels = Readonly<Record<string, string>>

/** A series with all of its samples, oldest first. A value of null is a staleness marker. */
export type StoredSeries = {
  readonly labels: Labels
  readonly times: readonly Seconds[]
  readonly values: readonly (number | null)[]
}

/** Answers an instant query: the body of `/api/v1/query`. Throws an Error that names what it cannot read. */
export type Ask = (query: string, time: Seconds) => string

/** For how long an instant query looks back for a sample. */
const LOOKBACK_SECONDS = 300

type Matcher = { readonly label: string; readonly operator: string; readonly value: string }

type Node =
  | { readonly is: 'selector'; readonly matchers: readonly Matcher[]; readonly offset: Seconds }
  | { readonly is: 'range'; readonly of: Node; readonly seconds: Seconds }
  | { readonly is: 'subquery'; readonly of: Node; readonly seconds: Seconds; readonly step: Seconds }
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: 'text'; readonly value: string }
  | { readonly is: 'call'; readonly name: string; readonly parameters: readonly Node[] }
  | {
      readonly is: 'aggregation'
      readonly name: string
      readonly of: Node
      readonly labels: readonly string[]
      readonly isWithout: boolean
    }
  | { readonly is: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node }

type Element = { readonly labels: Labels; readonly value: number }
type Samples = { readonly labels: Labels; readonly samples: readonly (readonly [Seconds, number])[] }

/** A Prometheus that holds these series. */
export function prometheusOf(series: readonly StoredSeries[]): Ask {
  const parsed = new Map<string, Node>()
  const selected = new Map<readonly Matcher[], readonly StoredSeries[]>()
  const byName = Map.groupBy(series, ({ labels }) => labels['__name__'])
  const select = (matchers: readonly Matcher[]) => {
    const known = selected.get(matchers)
    if (known !== undefined) return known
    const name = matchers.find(({ label, operator }) => label === '__name__' && operator === '=')
    const found = (name === undefined ? series : (byName.get(name.value) ?? [])).filter(matches(matchers))
    selected.set(matchers, found)
    return found
  }
  return (query, time) => {
    const node = parsed.get(query) ?? parse(query)
    parsed.set(query, node)
    const data =
      node.is === 'range' || node.is === 'subquery'
        ? {
            resultType: 'matrix',
            result: samplesOf(node, time, select).map(({ labels, samples }) => ({
              metric: labels,
              values: samples.map(([at, value]) => [at, textOf(value)]),
            })),
          }
        : {
            resultType: 'vector',
            result: vectorOf(node, time, select).map(({ labels, value }) => ({
              metric: labels,
              value: [time, textOf(value)],
            })),
          }
    return JSON.stringify({ status: 'success', data })
  }
}

function textOf(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value)
}

function matches(matchers: readonly Matcher[]): (series: StoredSeries) => boolean {
  const tests = matchers.map(({ label, operator, value }) => {
    const pattern = operator.endsWith('~') ? new RegExp(`^(?:${value})$`) : undefined
    return ({ labels }: StoredSeries) => {
      const own = labels[label] ?? ''
      return (pattern === undefined ? own === value : pattern.test(own)) !== operator.startsWith('!')
    }
  })
  return (one) => tests.every((test) => test(one))
}

type Select = (matchers: readonly Matcher[]) => readonly StoredSeries[]

/** The samples of a range or a subquery that end at a moment. Prometheus 2 counts a sample at exactly its begin. */
function samplesOf(node: Node, time: Seconds, select: Select): Samples[] {
  if (node.is === 'range') {
    if (node.of.is !== 'selector') throw new Error('Cannot evaluate a range of what is no selector')
    const { offset, matchers } = node.of
    const [from, to] = [milliseconds(time - offset - node.seconds), time - offset]
    return select(matchers).flatMap(({ labels, times, values }) => {
      const samples: [Seconds, number][] = []
      for (let index = firstFrom(times, from); index < times.length; index++) {
        const [at = Infinity, value] = [times[index], values[index]]
        if (at > to) break
        if (value !== null && value !== undefined) samples.push([at, value])
      }
      return samples.length === 0 ? [] : [{ labels, samples }]
    })
  }
  if (node.is !== 'subquery') throw new Error('Cannot evaluate the samples of an instant vector')
  const found = new Map<string, { labels: Labels; samples: [Seconds, number][] }>()
  // Its steps are multiples of the step, whatever the query's time is.
  for (let at = Math.ceil((time - node.seconds) / node.step) * node.step; at <= time; at += node.step)
    for (const { labels, value } of vectorOf(node.of, at, select)) {
      const key = keyOf(labels)
      const known = found.get(key) ?? { labels, samples: [] }
      known.samples.push([at, value])
      found.set(key, known)
    }
  return [...found.values()]
}

/** Prometheus counts in whole milliseconds. */
function milliseconds(time: Seconds): Seconds {
  return Math.round(time * 1000) / 1000
}

/** The first index at which a time is not before a moment. */
function firstFrom(times: readonly Seconds[], moment: Seconds): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? Infinity) < moment) low = middle + 1
    else high = middle
  }
  return low
}

/** The index of the sample that an instant query finds: the last of five minutes, unless the series was marked as stale. */
function indexAt({ times, values }: StoredSeries, moment: Seconds): number | undefined {
  let index = firstFrom(times, moment)
  if (times[index] !== moment) index -= 1
  const at = times[index]
  return at === undefined || at < moment - LOOKBACK_SECONDS || values[index] === null ? undefined : index
}

function instantOf(
  { matchers, offset }: Extract<Node, { is: 'selector' }>,
  time: Seconds,
  { select, read }: { select: Select; read: (series: StoredSeries, index: number) => number },
): Element[] {
  return select(matchers).flatMap((series) => {
    const index = indexAt(series, time - offset)
    return index === undefined ? [] : [{ labels: series.labels, value: read(series, index) }]
  })
}

const OVER_TIME: Readonly<Record<string, (values: readonly number[]) => number>> = {
  last_over_time: (values) => values.at(-1) ?? NaN,
  max_over_time: (values) => Math.max(...values),
  min_over_time: (values) => Math.min(...values),
  count_over_time: (values) => values.length,
}

function vectorOf(node: Node, time: Seconds, select: Select): Element[] {
  switch (node.is) {
    case 'selector':
      return instantOf(node, time, { select, read: ({ values }, index) => values[index] ?? NaN })
    case 'call':
      return callOf(node, time, select)
    case 'aggregation':
      return aggregated(node, vectorOf(node.of, time, select))
    case 'binary':
      return binaryOf(node, time, select)
    case 'number':
    case 'text':
    case 'range':
    case 'subquery':
      throw new Error(`Cannot evaluate ${node.is} as an instant vector`)
  }
}

function callOf({ name, parameters }: Extract<Node, { is: 'call' }>, time: Seconds, select: Select): Element[] {
  const [first] = parameters
  if (first === undefined) throw new Error(`Cannot evaluate "${name}" of nothing`)
  const overTime = OVER_TIME[name]
  if (overTime !== undefined)
    return samplesOf(first, time, select).map(({ labels, samples }) => ({
      labels: name === 'last_over_time' ? labels : withoutName(labels),
      value: overTime(samples.map(([, value]) => value)),
    }))
  if (name === 'timestamp') {
    if (first.is !== 'selector') throw new Error('Cannot evaluate the timestamp of what is no selector')
    return instantOf(first, time, { select, read: ({ times }, index) => times[index] ?? NaN }).map(
      ({ labels, value }) => ({ labels: withoutName(labels), value }),
    )
  }
  if (name === 'label_replace') {
    const [, to = '', replacement = '', from = '', pattern = ''] = parameters.map((one) =>
      one.is === 'text' ? one.value : '',
    )
    const expression = new RegExp(`^(?:${pattern})$`)
    return vectorOf(first, time, select).map(({ labels, value }) => {
      const found = expression.exec(labels[from] ?? '')
      if (found === null) return { labels, value }
      const text = replacement.replaceAll(/\$(\d)/g, (_, group: string) => found[Number(group)] ?? '')
      const { [to]: _, ...others } = labels
      return { labels: text === '' ? others : { ...others, [to]: text }, value }
    })
  }
  throw new Error(`Cannot evaluate "${name}": this Prometheus does not know it`)
}

const AGGREGATIONS: Readonly<Record<string, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  count: (values) => values.length,
}

function aggregated(
  { name, labels: wanted, isWithout }: Extract<Node, { is: 'aggregation' }>,
  elements: readonly Element[],
): Element[] {
  const groups = new Map<string, { labels: Labels; values: number[] }>()
  for (const { labels, value } of elements) {
    const kept = Object.fromEntries(
      isWithout
        ? Object.entries(labels).filter(([label]) => label !== '__name__' && !wanted.includes(label))
        : wanted.flatMap((label) => (labels[label] === undefined ? [] : [[label, labels[label]]])),
    )
    const key = keyOf(kept)
    const group = groups.get(key) ?? { labels: kept, values: [] }
    group.values.push(value)
    groups.set(key, group)
  }
  return [...groups.values()].map((group) => ({
    labels: group.labels,
    value: AGGREGATIONS[name]?.(group.values) ?? NaN,
  }))
}

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '!=': (a, b) => a !== b,
  '==': (a, b) => a === b,
}

function binaryOf(
  { operator, left, right }: Extract<Node, { is: 'binary' }>,
  time: Seconds,
  select: Select,
): Element[] {
  const own = vectorOf(left, time, select)
  if (right.is === 'number') {
    const compare = COMPARISONS[operator]
    if (compare === undefined) throw new Error(`Cannot evaluate "${operator}" with a number`)
    return own.filter(({ value }) => compare(value, right.value))
  }
  const other = new Map(vectorOf(right, time, select).map((element) => [matchKey(element.labels), element] as const))
  switch (operator) {
    case 'unless':
      return own.filter(({ labels }) => !other.has(matchKey(labels)))
    case 'or': {
      const known = new Set(own.map(({ labels }) => matchKey(labels)))
      return [...own, ...[...other].filter(([key]) => !known.has(key)).map(([, element]) => element)]
    }
    case '+':
    case '-':
      return own.flatMap(({ labels, value }) => {
        const found = other.get(matchKey(labels))
        if (found === undefined) return []
        return [{ labels: withoutName(labels), value: operator === '+' ? value + found.value : value - found.value }]
      })
    default:
      throw new Error(`Cannot evaluate "${operator}" between vectors`)
  }
}

const nameless = new WeakMap<Labels, Labels>()
function withoutName(labels: Labels): Labels {
  const known = nameless.get(labels)
  if (known !== undefined) return known
  const { __name__: _, ...others } = labels
  nameless.set(labels, others)
  return others
}

const keys = new WeakMap<Labels, string>()
function keyOf(labels: Labels): string {
  const known = keys.get(labels)
  if (known !== undefined) return known
  let key = ''
  for (const name of Object.keys(labels).sort()) key += `${name}\u0000${labels[name]}\u0000`
  keys.set(labels, key)
  return key
}

/** Vectors are matched by all labels but the name. */
function matchKey(labels: Labels): string {
  return keyOf(withoutName(labels))
}

const UNITS: Readonly<Record<string, Seconds>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

function secondsOf(duration: string): Seconds {
  const found = /^(\d+)(ms|s|m|h|d)$/.exec(duration)
  if (found === null) throw new Error(`Cannot read duration "${duration}"`)
  return Number(found[1]) * (UNITS[found[2] ?? ''] ?? NaN)
}

const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|(\d+(?:ms|s|m|h|d)?)|([A-Za-z_][A-Za-z0-9_]*)|(=~|!~|!=|==|[-+={}()[\],:<>]))/y

/** Lowest first. */
const PRECEDENCE = [['or'], ['unless'], ['>', '<', '!=', '=='], ['+', '-']] as const

function parse(query: string): Node {
  const tokens: { readonly kind: 'text' | 'number' | 'word' | 'sign'; readonly text: string }[] = []
  TOKEN.lastIndex = 0
  const end = query.trimEnd().length
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex
    const found = TOKEN.exec(query)
    if (found === null) throw new Error(`Cannot read query "${query}" at ${from}`)
    const [, text, number, word, sign] = found
    if (text !== undefined) tokens.push({ kind: 'text', text: text.replaceAll(/\\(.)/g, '$1') })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else tokens.push({ kind: 'sign', text: sign ?? '' })
  }
  let next = 0
  const peek = () => tokens[next]?.text
  const take = (wanted?: string): string => {
    const token = tokens[next++]
    if (token === undefined || (wanted !== undefined && token.text !== wanted))
      throw new Error(`Cannot read query "${query}": wanted ${wanted ?? 'more'} at token ${next}`)
    return token.text
  }
  const isTaken = (wanted: string): boolean => {
    if (peek() !== wanted) return false
    next += 1
    return true
  }
  const list = <T>(close: string, read: () => T): T[] => {
    const all: T[] = []
    while (!isTaken(close)) {
      all.push(read())
      if (peek() !== close) take(',')
    }
    return all
  }
  const matchersOf = (name: string): Matcher[] => [
    ...(name === '' ? [] : [{ label: '__name__', operator: '=', value: name }]),
    ...(isTaken('{') ? list('}', (): Matcher => ({ label: take(), operator: take(), value: take() })) : []),
  ]
  const primary = (): Node => {
    if (isTaken('(')) {
      const inside = binary(0)
      take(')')
      return inside
    }
    const token = tokens[next]
    if (token?.kind === 'number') return { is: 'number', value: Number(take()) }
    if (token?.kind === 'text') return { is: 'text', value: take() }
    if (peek() === '{') return { is: 'selector', matchers: matchersOf(''), offset: 0 }
    const name = take()
    if (name in AGGREGATIONS) {
      const by = peek() === 'by' || peek() === 'without' ? take() : undefined
      if (by !== undefined) take('(')
      const labels = by === undefined ? [] : list(')', take)
      take('(')
      const of = binary(0)
      take(')')
      return { is: 'aggregation', name, of, labels, isWithout: by === 'without' }
    }
    if (isTaken('(')) return { is: 'call', name, parameters: list(')', () => binary(0)) }
    return { is: 'selector', matchers: matchersOf(name), offset: 0 }
  }
  const postfix = (): Node => {
    let node = primary()
    for (;;) {
      if (isTaken('[')) {
        const seconds = secondsOf(take())
        node = isTaken(':')
          ? { is: 'subquery', of: node, seconds, step: secondsOf(take()) }
          : { is: 'range', of: node, seconds }
        take(']')
      } else if (node.is === 'selector' && isTaken('offset')) node = { ...node, offset: secondsOf(take()) }
      else return node
    }
  }
  const binary = (level: number): Node => {
    const operators: readonly string[] | undefined = PRECEDENCE[level]
    if (operators === undefined) return postfix()
    let left = binary(level + 1)
    while (operators.includes(peek() ?? '')) {
      const operator = take()
      left = { is: 'binary', operator, left, right: binary(level + 1) }
    }
    return left
  }
  const node = binary(0)
  if (next < tokens.length) throw new Error(`Cannot read query "${query}": "${peek()}" is too much`)
  return node
}
