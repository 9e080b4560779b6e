import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freshFolder } from '../recorder.ts'

type Run = { readonly isGood: boolean; readonly said: string }

/** A folder of tests with the files under test, whose only test file has the code of the tests that are given. */
function startTests(context: TestContext): {
  readonly runTests: (code: string, env?: Record<string, string>, ...options: string[]) => Run
  readonly golden: () => string | null
  readonly changed: () => string | null
} {
  const folder = freshFolder(context)
  const file = join(folder, 'test/cli/a.test.ts')
  mkdirSync(join(folder, 'test/cli'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  cpSync(fileURLToPath(new URL('.', import.meta.url)), join(folder, 'test/support/texts'), { recursive: true })
  const read = (name: string) => () => {
    const path = join(folder, 'test/golden/texts/cli', name)
    return existsSync(path) ? readFileSync(path, 'utf8') : null
  }
  return {
    runTests: (code, env = {}, ...options) => {
      const imports = `import assert from 'node:assert/strict'
        import { describe, test } from 'node:test'
        import { errorText, matchesText, TEXT, textWith } from '../support/texts/matches-text.ts'\n`
      writeFileSync(file, `${imports}${code}`)
      const { status, stdout, stderr } = spawnSync(process.execPath, [...options, file], {
        cwd: folder,
        env,
        encoding: 'utf8',
      })
      return { isGood: status === 0, said: stdout + stderr }
    },
    golden: read('a.txt'),
    changed: read('a-changed.txt'),
  }
}

const CI = { CI: 'true' }
const TWO = `test('one', () => matchesText('it is so'))
  describe('suite', () => test('two', async () => {
    await null
    matchesText([1, ['in /a', 'b']], [1, textWith({ path: '/a' })])
    assert.throws(() => { throw new RangeError('too far') }, errorText({ name: 'RangeError' }))
    for (const word of ['x', 'y']) matchesText(word + '!', TEXT, word)
  }))\n`
const GOLDEN = `one

  | it is so

suite > two

  - in ⟨path⟩
  - b

  | too far

  of x
  | x!

  of y
  | y!
`

describe('matchesText()', () => {
  test('writes what is missing by test, and compares it from then on', (context) => {
    const { runTests, golden, changed } = startTests(context)
    assert.ok(runTests(TWO).isGood)
    assert.equal(golden(), GOLDEN)
    assert.ok(runTests(TWO, CI).isGood)
    assert.ok(runTests(TWO.replace('it is so', 'it is so\\n')).said.includes('Cannot match text 1 of "one"'))
    assert.equal(changed(), GOLDEN.replace('it is so\n', 'it is so\n  |\n'))
    assert.ok(runTests(TWO, CI).isGood)
    assert.deepEqual([golden(), changed()], [GOLDEN, null])
  })

  test('fails where CI is set and a text is missing, and writes nothing', (context) => {
    const { runTests, golden } = startTests(context)
    const { isGood, said } = runTests(TWO, CI)
    assert.ok(!isGood && said.includes('Cannot compare text 1 of "one": test/golden/texts/cli/a.txt has none'), said)
    assert.equal(golden(), null)
  })

  test('fails for texts that no test compares any more, unless only a part of the tests ran', (context) => {
    const { runTests, golden, changed } = startTests(context)
    runTests(TWO)
    for (const [from, to, left] of [
      [`test('one', () => matchesText('it is so'))`, '', GOLDEN.slice(GOLDEN.indexOf('suite'))],
      [`'x', 'y'`, `'x'`, GOLDEN.slice(0, GOLDEN.indexOf('\n  of y'))],
      [TWO, `test('none', () => {})`, '\n'],
    ] as const) {
      const { isGood, said } = runTests(TWO.replace(from, to))
      assert.ok(!isGood && said.includes('Cannot find who compares these texts'), said)
      assert.equal(changed(), left)
    }
    assert.ok(runTests(TWO, CI, '--test-name-pattern=two').isGood)
    assert.equal(golden(), GOLDEN)
  })

  test('leaves the texts of a test that fails as they are', (context) => {
    const { runTests, golden, changed } = startTests(context)
    runTests(TWO)
    const { isGood, said } = runTests(
      TWO.replace('too far', 'near').replace('await null', 'await null; matchesText(1)'),
    )
    assert.ok(!isGood && !said.includes('Cannot find who compares'), said)
    assert.ok(!runTests(TWO.replace('it is so', 'it was so').replace('too far', 'near')).isGood)
    assert.equal(changed(), GOLDEN.replace('it is so', 'it was so').replace('too far', 'near'))
    assert.equal(golden(), GOLDEN)
  })

  test('goes on after a text that differs where TEXTS=all, and fails all the same', (context) => {
    const { runTests, changed } = startTests(context)
    runTests(TWO)
    const { isGood } = runTests(TWO.replace('too far', 'near').replace(`'!'`, `'?'`), { TEXTS: 'all' })
    assert.ok(!isGood)
    assert.equal(changed(), GOLDEN.replace('too far', 'near').replace('x!', 'x?').replace('y!', 'y?'))
  })

  test('compares every other field with what is expected', (context) => {
    const { runTests } = startTests(context)
    runTests(TWO)
    for (const code of [
      TWO.replace('matchesText([1, ', 'matchesText([2, '),
      TWO.replace(`name: 'RangeError'`, `name: 'Error'`),
      TWO.replace(`['in /a', 'b']`, '7'),
    ])
      assert.ok(!runTests(code).isGood, code)
  })
})

test('each golden of texts is of a test file that compares some', () => {
  const tests = fileURLToPath(new URL('../../', import.meta.url))
  const nobodys = globSync('**/*.txt', { cwd: join(tests, 'golden/texts') }).filter((golden) => {
    const file = join(tests, golden.replace(/(-changed)?\.txt$/, '.test.ts'))
    return !existsSync(file) || !readFileSync(file, 'utf8').includes('/texts/matches-text.ts')
  })
  assert.deepEqual(nobodys, [])
})
