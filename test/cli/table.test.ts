import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type TerminalColumn, tableLines, wrapped } from '../../cli/terminal-table.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

type Row = readonly string[]

const column = (heading: string, index: number, isMain: boolean): TerminalColumn<Row> => ({
  heading,
  text: (row) => row[index] ?? '',
  ...(isMain ? { isMain } : {}),
})

const COLUMNS = [
  column('STATE', 0, true),
  column('SOURCE', 1, true),
  column('FROM', 2, false),
  column('DESTINATION', 3, true),
  column('REASON', 4, false),
  column('WAIVER', 5, false),
]
const ROWS: readonly Row[] = [
  ['plaintext', 'deployment/shop/web', '12:00:00Z', 'deployment/shop/api:8080', 'no_tls_from_remote', '-'],
  ['mtls', '(unmeshed)', '12:05:00Z', 'statefulset/shop/database:5432', '-', 'W-17'],
  ['mtls', 'deployment/shop/web', '12:05:00Z', 'external/example.com:443', '-', '-'],
]

test('a table without a width has a row on each line, in the order of its columns', () => {
  assert.deepEqual(tableLines(ROWS, COLUMNS), [
    'STATE      SOURCE               FROM       DESTINATION                     REASON              WAIVER',
    'plaintext  deployment/shop/web  12:00:00Z  deployment/shop/api:8080        no_tls_from_remote  -',
    'mtls       (unmeshed)           12:05:00Z  statefulset/shop/database:5432  -                   W-17',
    'mtls       deployment/shop/web  12:05:00Z  external/example.com:443        -                   -',
  ])
})

test('a table that fits the terminal to the last character is not folded, and one that does not is', () => {
  const lines = tableLines(ROWS, COLUMNS)
  const longest = (lines[0] ?? '').length
  assert.deepEqual(tableLines(ROWS, COLUMNS, longest), lines)
  assert.notDeepEqual(tableLines(ROWS, COLUMNS, longest - 1), lines)
})

test('where it is folded, what a row is about comes first, and lines that say nothing are left out at its end', () => {
  assert.deepEqual(tableLines(ROWS, COLUMNS, 80), [
    'STATE      SOURCE               DESTINATION',
    '  FROM       REASON              WAIVER',
    'plaintext  deployment/shop/web  deployment/shop/api:8080',
    '  12:00:00Z  no_tls_from_remote  -',
    'mtls       (unmeshed)           statefulset/shop/database:5432',
    '  12:05:00Z  -                   W-17',
    'mtls       deployment/shop/web  external/example.com:443',
    '  12:05:00Z  -                   -',
  ])
  const [state, source, , destination, reason, waiver] = COLUMNS
  assert.ok(state && source && destination && reason && waiver)
  assert.deepEqual(tableLines(ROWS, [state, source, destination, reason, waiver], 40), [
    'STATE      SOURCE',
    '  DESTINATION',
    '  REASON              WAIVER',
    'plaintext  deployment/shop/web',
    '  deployment/shop/api:8080',
    '  no_tls_from_remote  -',
    'mtls       (unmeshed)',
    '  statefulset/shop/database:5432',
    '  -                   W-17',
    'mtls       deployment/shop/web',
    '  external/example.com:443',
  ])
})

test('a sentence that is longer than the terminal is wide goes on on lines below, which are indented further', () => {
  const told = [['mtls', 'deployment/shop/web', '', '', 'the client sent no mesh TLS, and nobody knows why', '-']]
  const columns = COLUMNS.filter(({ heading }) => ['STATE', 'SOURCE', 'REASON'].includes(heading))
  matchesText(tableLines(told, columns, 32), ['STATE  SOURCE', '  REASON', 'mtls   deployment/shop/web', TEXT, TEXT])
})

test('wrapped() keeps the indent of a sentence, on each of its lines', () => {
  assert.deepEqual(wrapped('   fixes 1 path · owner shop', 40), ['   fixes 1 path · owner shop'])
  assert.deepEqual(wrapped('   fixes 1 path · owner shop', 20), ['   fixes 1 path ·', '     owner shop'])
  assert.deepEqual(wrapped('1  Add web to the mesh', 12), ['1  Add web', '  to the', '  mesh'])
  assert.deepEqual(wrapped('', 12), [''])
})

test('what takes two cells of a terminal counts as two', () => {
  const rows = [
    ['mtls', '商店/网页', '-', 'shop/web'],
    ['mtls', 'shop/web', '-', 'shop/web'],
  ]
  const [state, source, , destination] = COLUMNS
  assert.ok(state && source && destination)
  const columns = [state, source, destination]
  assert.deepEqual(tableLines(rows, columns), [
    'STATE  SOURCE     DESTINATION',
    'mtls   商店/网页  shop/web',
    'mtls   shop/web   shop/web',
  ])
  // The longest line has 29 cells.
  assert.equal(tableLines(rows, columns, 29).length, 3)
  assert.ok(tableLines(rows, columns, 28).length > 3)
  assert.deepEqual(wrapped('商店 网页', 9), ['商店 网页'])
  assert.deepEqual(wrapped('商店 网页', 8), ['商店', '  网页'])
})

test('colours change no place of anything', () => {
  const red = (text: string) => `\u001b[31m${text}\u001b[39m`
  const coloured = COLUMNS.map((one) => ({ ...one, color: red }))
  for (const width of [null, 30, 60, 80, 100]) {
    const plain = tableLines(ROWS, coloured, width).map((line) =>
      line.replaceAll('\u001b[31m', '').replaceAll('\u001b[39m', '').trimEnd(),
    )
    assert.deepEqual(plain, tableLines(ROWS, COLUMNS, width))
  }
})

test('whatever the width, nothing is cut, no line is longer but one with a single text, and columns stay in their places', () => {
  const text = fc.oneof({ weight: 3, arbitrary: fc.stringMatching(/^[a-z0-9/:]{1,50}$/) }, fc.constantFrom('-', ''))
  const table = fc.integer({ min: 1, max: 8 }).chain((count) =>
    fc.record({
      mains: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      rows: fc.array(fc.array(text, { minLength: count, maxLength: count }), { minLength: 1, maxLength: 5 }),
      width: fc.integer({ min: 1, max: 200 }),
    }),
  )
  let folded = 0
  fc.assert(
    fc.property(table, ({ mains, rows, width }) => {
      // The first column tells rows apart.
      const columns = mains.map((isMain, index) => column(`H${index}`, index, isMain || index === 0))
      const told = rows.map(([, ...others], index) => [`row${index}`, ...others])
      const lines = tableLines(told, columns, width)
      const begins = lines.flatMap((line, index) => (line.startsWith(' ') ? [] : [index]))
      assert.equal(begins.length, told.length + 1)
      const blocks = begins.map((begin, index) => lines.slice(begin, begins[index + 1] ?? lines.length))
      const [headings = [], ...blocksOfRows] = blocks
      if (headings.length > 1) folded++
      for (const line of lines) assert.ok(line.length <= width || !line.trim().includes(' '), `${width}: ${line}`)
      for (const [index, row] of told.entries()) {
        const block = blocksOfRows[index] ?? []
        for (const [place, { heading }] of columns.entries()) {
          const line = headings.findIndex((one) => ` ${one} `.includes(` ${heading} `))
          const from = ` ${headings[line] ?? ''} `.indexOf(` ${heading} `)
          const wanted = row[place] ?? ''
          const shown = (block[line] ?? '').slice(from).split(' ')[0] ?? ''
          if (line < block.length) assert.equal(shown, wanted)
          else assert.ok(wanted === '' || wanted === '-', `${wanted} is not shown`)
        }
      }
    }),
    { numRuns: 500 },
  )
  assert.ok(folded > 50, `only ${folded} were folded`)
})
