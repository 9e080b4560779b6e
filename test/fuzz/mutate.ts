/** Changes bytes as somebody hostile or a broken disk would; the same for the same numbers. */

/** Gives whole numbers from 0 to before its argument. */
export type Pick = (below: number) => number

/** Numbers from a seed (xorshift32). */
export function picks(seed: number): Pick {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return below <= 1 ? 0 : state % below
  }
}

/** What may stand in the place of a value. */
const VALUES = String.raw`
null
true
{}
[]
""
-1
0
0.5
1e308
-1e308
1e400
1e14
9007199254740993
"NaN"
"+Inf"
"-Inf"
"1e308"
"x"
"__proto__"
"constructor"
"\u0000"
"\ud800"
"+275760-09-13T00:00:00Z"
"0000-01-01T00:00:00Z"
"2026-11-24T12:00:00Z"
"10.0.0.1"
"::1"
[[[[[[[[]]]]]]]]
{"__proto__":{"a":1}}
{"":{"":{}}}
`
  .trim()
  .split('\n')
  .map((text) => Buffer.from(text))

/** A value of JSON or YAML, or a word. */
const TOKEN = /"(?:[^"\\\n]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[A-Za-z_][\w-]*/g

const spliced = (bytes: Buffer, from: number, to: number, ...between: Uint8Array[]): Buffer =>
  Buffer.concat([bytes.subarray(0, from), ...between, bytes.subarray(to)])

/** Each gives other bytes, mostly of about the same length. */
const CHANGES: readonly ((bytes: Buffer, pick: Pick) => Buffer)[] = [
  (bytes, pick) => {
    const changed = Buffer.from(bytes)
    const at = pick(changed.length)
    if (changed.length > 0) changed[at] = (changed[at] ?? 0) ^ (1 << pick(8))
    return changed
  },
  (bytes, pick) => {
    const at = pick(bytes.length)
    return spliced(bytes, at, at + pick(3), Buffer.of(pick(256)))
  },
  (bytes, pick) => {
    const at = pick(bytes.length)
    return spliced(bytes, at, at + pick(200))
  },
  (bytes, pick) => {
    const [from, at] = [pick(bytes.length), pick(bytes.length)]
    return spliced(bytes, at, at, bytes.subarray(from, from + pick(200)))
  },
  (bytes, pick) => bytes.subarray(0, pick(bytes.length + 1)),
  changedToken,
  changedToken,
  changedToken,
  changedToken,
]

/** Text stays text, and JSON mostly JSON, so that what is behind the parser is reached. */
function changedToken(bytes: Buffer, pick: Pick): Buffer {
  const from = pick(bytes.length)
  const piece = bytes.subarray(from, from + 4096).toString('latin1')
  const tokens = [...piece.matchAll(TOKEN)]
  const token = tokens[pick(tokens.length)]
  if (token === undefined) return bytes
  const at = from + token.index
  const other = tokens[pick(tokens.length)]?.[0]
  const value = pick(4) === 0 && other !== undefined ? Buffer.from(other, 'latin1') : VALUES[pick(VALUES.length)]
  return spliced(bytes, at, at + token[0].length, value ?? Buffer.of())
}

/** One to eight changes. */
export function mutated(bytes: Uint8Array, pick: Pick): Buffer {
  let changed: Buffer = Buffer.from(bytes)
  for (let left = 1 + pick(8); left > 0; left--) changed = CHANGES[pick(CHANGES.length)]?.(changed, pick) ?? changed
  return changed
}
