import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  isSameText,
  parseTextGolden,
  printTextGolden,
  renewedText,
  shownName,
  shownSubject,
  shownText,
} from './text-golden.ts'

describe('shownText()', () => {
  test('shows each line behind a mark, what cannot be seen by its number, and a list by the mark of its texts', () => {
    assert.equal(shownText('one\n two\n'), '  | one\n  |  two\n  |')
    assert.equal(shownText(['one\n- two', 'three', '']), '  - one\n  | - two\n  - three\n  -')
    assert.equal(shownText('\u001b[1m\u202e⟨a⟩\r'), '  | \\u{1b}[1m\\u{202e}\\u{27e8}a\\u{27e9}\\u{d}')
  })

  test('shows no two texts alike', () => {
    const texts = [
      '',
      '\n',
      ' ',
      ' \n',
      'a',
      'a\n',
      '\\u{1b}',
      '\u001b',
      '⟨…⟩',
      '…',
      ['a', 'b'],
      ['a\nb'],
      ['a\n- b'],
      [''],
    ]
    assert.equal(new Set(texts.map(shownText)).size, texts.length)
    for (const text of texts) {
      const golden = new Map([['a test', [shownText(text)]]])
      assert.deepEqual(parseTextGolden(printTextGolden(golden)), golden)
      for (const other of texts) assert.equal(isSameText(shownText(text), shownText(other)), text === other)
    }
  })
})

test('shownSubject() and shownName() are one line', () => {
  assert.equal(shownSubject('a: b\nc'), '  of a: b\\nc')
  assert.equal(shownSubject(['paths', '--at', 'noon']), '  of paths --at noon')
  assert.equal(shownSubject({ id: 1 }), '  of {"id":1}')
  assert.equal(shownSubject('x'.repeat(1000)), `  of ${'x'.repeat(119)}…`)
  assert.equal(shownName('suite > a\nb'), 'suite > a b')
})

describe('parseTextGolden()', () => {
  test('reads tests and their texts in order', () => {
    const golden = new Map([
      ['suite > first', ['  | a\n  |', '  of x\n  | b']],
      ['second', ['  - c\n  - d']],
    ])
    assert.equal(printTextGolden(golden), 'suite > first\n\n  | a\n  |\n\n  of x\n  | b\n\nsecond\n\n  - c\n  - d\n')
    assert.deepEqual(parseTextGolden(printTextGolden(golden)), golden)
  })

  test('refuses a text without a test, a name that stands twice, and lines without a mark', () => {
    for (const text of ['  | a\n', 'a\n\n  | b\n\na\n', 'a\n\n  | b\n  c\n'])
      assert.throws(() => parseTextGolden(text), { name: 'Error', message: /^Cannot read texts: / }, text)
  })
})

describe('isSameText()', () => {
  const same = (golden: string, text: string | string[], values = {}): boolean =>
    isSameText(golden, shownText(text), values)

  test('wants the whole text', () => {
    assert.ok(same('  | a. b', 'a. b'))
    for (const other of ['a. b ', ' a. b', 'a. b\n', 'ax b', 'a.\nb']) assert.ok(!same('  | a. b', other), other)
    assert.ok(!same('  | a', ['a']))
  })

  test('takes ⟨…⟩ within a line, beyond lines at both ends, and as lines of their own', () => {
    assert.ok(same('  | a ⟨…⟩ c', 'a b b c'))
    assert.ok(!same('  | a ⟨…⟩ c', 'a b\nb c'))
    assert.ok(same('  | ⟨…⟩b⟨…⟩', 'a\nb\nc') && same('  | ⟨…⟩b⟨…⟩', 'b') && same('  | ⟨…⟩b', '\nb'))
    assert.ok(!same('  | ⟨…⟩b', 'b\n') && !same('  | b⟨…⟩', '\nb'))
    const line = '  | ⟨…⟩\n  | b\n  | ⟨…⟩'
    assert.ok(['b', 'a\nb', 'b\nc', '\na\nb\n\n'].every((text) => same(line, text)))
    assert.ok(!same(line, 'ab') && !same(line, 'a\nbc'))
    assert.ok(same('  | a\n  | ⟨…⟩\n  | b', 'a\nb') && same('  | a\n  | ⟨…⟩\n  | b', 'a\n1\n2\nb'))
    assert.ok(same('  of x\n  | ⟨…⟩b', 'b') === false && isSameText('  of x\n  | ⟨…⟩b', '  of x\n  | a\n  | b'))
  })

  test('takes digits for ⟨number⟩, and for a name its value, no more and no fewer names than there are values', () => {
    assert.ok(same('  | ⟨number⟩ ms', '17 ms'))
    assert.ok(!same('  | ⟨number⟩ ms', 'NaN ms') && !same('  | ⟨number⟩ ms', ' ms'))
    assert.ok(same('  | ⟨path⟩ of ⟨path⟩ is ⟨size⟩', '/a.b of /a.b is 3', { path: '/a.b', size: 3 }))
    assert.ok(!same('  | ⟨path⟩', '/axb', { path: '/a.b' }))
    assert.throws(() => same('  | ⟨path⟩', '/a'), { message: /has ⟨path⟩, for which the test gives no value$/ })
    assert.throws(() => same('  | /a', '/a', { path: '/a' }), {
      message: /a value for ⟨path⟩, and the golden has none$/,
    })
  })
})

describe('renewedText()', () => {
  test('is the new text, with the names of the values', () => {
    assert.equal(
      renewedText('  | old', '  | in /a/b and /a', { outer: '/a', inner: '/a/b' }),
      '  | in ⟨inner⟩ and ⟨outer⟩',
    )
  })

  test('keeps what may be anything between the same words', () => {
    const renewed = (old: string, text: string): string => renewedText(old, shownText(text))
    assert.equal(
      renewed('  | Took ⟨number⟩ ms at ⟨…⟩ today', 'Took 17 ms from noon today'),
      '  | Took ⟨number⟩ ms from ⟨…⟩ today',
    )
    assert.equal(
      renewed('  | Cannot read "⟨…⟩": it is gone', 'Cannot open "x": it is gone'),
      '  | Cannot open "⟨…⟩": it is gone',
    )
    assert.equal(
      renewed('  | at ⟨…⟩ it is gone', 'at 12:00 it was lost and is gone'),
      '  | at ⟨…⟩ it was lost and is gone',
    )
  })

  test('takes of a long text the part that is compared', () => {
    const page = `<html>${'many words before it '.repeat(50)}\nNo report is stored\n${'and after it '.repeat(50)}`
    assert.equal(renewedText('  | ⟨…⟩No report is kept⟨…⟩', shownText(page)), '  | ⟨…⟩No report is stored⟨…⟩')
  })
})
