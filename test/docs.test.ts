import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { run } from './support/process/command-line.ts'

const ROOT = join(import.meta.dirname, '..')

/** The pages that people read: the README, the changelog, how to contribute, and everything under docs/. */
const PAGES = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md'].map((name) => join(ROOT, name)),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(ROOT, 'docs', name)),
]
const text = new Map(PAGES.map((page) => [page, readFileSync(page, 'utf8')]))

/** The name under which GitHub lists a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (page: string): string[] =>
  [...(text.get(page) ?? '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading ?? ''))

test('every link of a page leads to a file, and to a heading in it', () => {
  const dead: string[] = []
  for (const [page, body] of text) {
    const prose = body.replaceAll(/```[^]*?```/g, '').replaceAll(/`[^`\n]*`/g, '')
    for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      const isDead = !existsSync(file) || (anchor !== undefined && !anchorsOf(file).includes(anchor))
      if (isDead) dead.push(`${relative(ROOT, page)}: ${target}`)
    }
  }
  assert.deepEqual(dead, [])
})

test('every page under docs/ is in its index, and every decision in that of decisions', () => {
  for (const folder of ['docs', 'docs/decisions']) {
    const index = readFileSync(join(ROOT, folder, 'README.md'), 'utf8')
    const names = readdirSync(join(ROOT, folder)).filter((name) => name !== 'README.md')
    for (const name of names) {
      if (statSync(join(ROOT, folder, name)).isDirectory() || !name.endsWith('.md')) continue
      assert.ok(index.includes(`(${name})`), `${folder}/README.md lacks ${name}`)
    }
  }
})

/** What pages show as typed after the name of the command, with lines that go on joined. */
const typed = [...text].flatMap(([page, body]) => {
  const lines = body
    .replaceAll(/\\\n\s*/g, '')
    .matchAll(
      /^(?: {3,}|\$ )(?:\$ )?(?:[^|\n]*\| )?(?:npx ciphertrail|\.\/bin\/ciphertrail\.js|ciphertrail) ([^|\n]+)/gm,
    )
  return [...lines].map(([, line = '']) => ({ page: relative(ROOT, page), line: line.replace(/ +#.*$/, '') }))
})

test('every command that a page shows has these options, as the help of the command has them', async () => {
  assert.ok(typed.length > 60, String(typed.length))
  const helps = new Map<string, string>()
  const helpOf = async (...words: string[]): Promise<string> => {
    const key = words.join(' ')
    const known = helps.get(key) ?? (await run([...words, '--help'], { folder: tmpdir() })).stdout
    helps.set(key, known)
    return known
  }
  const wrong: string[] = []
  for (const { page, line } of typed) {
    const words = line.split(/\s+/)
    const [first = '', second = ''] = words.filter(
      (word, index) => !word.startsWith('--store') && words[index - 1] !== '--store',
    )
    const help = await helpOf(first)
    const isGroup = /^Commands:$/m.test(help)
    const all = isGroup ? await helpOf(first, second) : help
    const called = isGroup ? `${first} ${second}` : first
    if (!all.includes(`Usage: ciphertrail ${called}`)) wrong.push(`${page}: "${called}" is no command`)
    for (const [option] of line.matchAll(/(?<= |^)--[a-z][a-z\d-]*/g))
      if (!new RegExp(`${option}\\b`).test(all)) wrong.push(`${page}: "${called}" has no option ${option}`)
  }
  assert.deepEqual(wrong, [])
})
