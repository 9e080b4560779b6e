import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { ConflictError, PreconditionFailedError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { drawer } from '../../support/stored/interleaving.ts'
import { largeConformance } from './large-conformance.ts'
import { numberedBody } from './numbered-body.ts'

/** A fresh, empty store, and how another process opens the same one. */
export type StoreUnderTest = {
  readonly objects: Objects
  readonly opener: {
    /** URL of a module that exports `openStore(argument): Objects`. */
    readonly module: string
    readonly argument: string
  }
}

function numberOf(body: Uint8Array): number {
  const number = Number.parseInt(Buffer.from(body).toString(), 10)
  assert.ok(Buffer.compare(body, numberedBody(number)) === 0, 'the object is whole')
  return number
}

async function listed(objects: Objects, prefix: string, startAfter?: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix, startAfter)) keys.push(key)
  return keys
}

async function textOf(objects: Objects, key: string): Promise<string | undefined> {
  const object = await objects.get(key)
  return object === undefined ? undefined : Buffer.from(object.body).toString()
}

type Child = ChildProcessByStdio<Writable, Readable, null>
type Started = { readonly child: Child; readonly lines: string[]; readonly closed: Promise<unknown> }

/** Starts `objects-child.ts` and returns when it waits for its line. `lines` has what it prints afterwards. */
async function startChild(
  { module, argument }: StoreUnderTest['opener'],
  action: string,
  key: string,
  detail: string | number,
): Promise<Started> {
  const script = new URL('objects-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, module, argument, action, key, String(detail)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const output = createInterface(child.stdout)
  const closed = Promise.all([once(child, 'exit'), once(output, 'close')])
  const [first] = await once(output, 'line')
  assert.equal(first, 'ready')
  output.on('line', (line) => lines.push(line))
  return { child, lines, closed }
}

/** Lets all children begin, and returns what they printed, once all have ended well. */
async function runTogether(children: readonly Started[]): Promise<string[]> {
  for (const { child } of children) child.stdin.write('\n')
  await Promise.all(children.map(({ closed }) => closed))
  for (const { child } of children) assert.equal(child.exitCode, 0)
  return children.flatMap(({ lines }) => lines)
}

const segment = fc.stringMatching(/^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,3}$/)
const safeKey = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'))

/**
 * What every store must do, whatever is behind it. `open` gives a fresh store; it may register its own cleaning up with the
 * test. `isRaced` is false for a server that does not decide between two writers itself.
 */
export function objectsConformance(
  name: string,
  open: (t: TestContext) => Promise<StoreUnderTest>,
  { isRaced = true }: { readonly isRaced?: boolean } = {},
): void {
  test(`${name}: get() gives the bytes that were written, and undefined for a key that was not`, async (t) => {
    const { objects } = await open(t)
    const bodies = {
      'a/empty': Buffer.alloc(0),
      'a/bytes': Buffer.from([0, 255, 10, 13]),
      'a/long': Buffer.alloc(6e6, 'x'),
    }
    for (const [key, body] of Object.entries(bodies)) await objects.putOnce(key, body)
    for (const [key, body] of Object.entries(bodies)) {
      assert.equal(Buffer.compare((await objects.get(key))?.body ?? Buffer.from('none'), body), 0)
    }
    assert.equal(await objects.get('a/other'), undefined)
    assert.equal(await objects.get('a'), undefined)
    assert.equal(await objects.get('b/c/d'), undefined)
  })

  test(`${name}: digest() gives hash and size of the bytes as they are stored, and undefined for a key that was not written`, async (t) => {
    const { objects } = await open(t)
    const bodies = [0, 1, 255, 262_143, 262_144, 262_145, 6_000_001].map((size) => Buffer.alloc(size, `${size} bytes `))
    for (const body of bodies) {
      const key = `a/${body.length}`
      await objects.putOnce(key, body)
      const sha256 = createHash('sha256').update(body).digest('hex')
      const version = (await objects.get(key))?.version ?? null
      assert.deepEqual(await objects.digest(key), { sha256, size: body.length, version })
    }
    assert.equal(await objects.digest('a/other'), undefined)
    assert.equal(await objects.digest('a'), undefined)
    assert.equal(await objects.digest('b/c/d'), undefined)
    await assert.rejects(objects.digest('../a'), TypeError)
  })

  test(`${name}: putOnce() takes the same bytes again and refuses different bytes for the same key`, async (t) => {
    const { objects } = await open(t)
    await objects.putOnce('evidence/w/c/1', Buffer.from('first'))
    await objects.putOnce('evidence/w/c/1', Buffer.from('first'))
    await assert.rejects(objects.putOnce('evidence/w/c/1', Buffer.from('other')), (error) => {
      assert.ok(error instanceof ConflictError)
      assert.equal(error.key, 'evidence/w/c/1')
      assert.equal(error.message, 'Cannot write "evidence/w/c/1": it exists with other bytes, and is written only once')
      return true
    })
    assert.equal(await textOf(objects, 'evidence/w/c/1'), 'first')
  })

  test(`${name}: putIf() writes over the object it was told of, and over no other`, async (t) => {
    const { objects } = await open(t)
    const refused = (etag: string | null) =>
      assert.rejects(objects.putIf('state/c', Buffer.from('no'), etag), (error) => {
        assert.ok(error instanceof PreconditionFailedError)
        assert.equal(error.key, 'state/c')
        return true
      })

    await refused('some-tag')
    const first = await objects.putIf('state/c', Buffer.from('1'), null)
    await refused(null)
    const second = await objects.putIf('state/c', Buffer.from('2'), first)
    await refused(first)
    assert.equal(await textOf(objects, 'state/c'), '2')
    assert.equal((await objects.get('state/c'))?.etag, second)
    assert.notEqual(first, second)
  })

  test(`${name}: remove() removes, and has nothing to do for a key that is absent`, async (t) => {
    const { objects } = await open(t)
    await objects.remove('state/c')
    const etag = await objects.putIf('state/c', Buffer.from('1'), null)
    await objects.remove('state/c')
    await objects.remove('state/c')
    assert.equal(await objects.get('state/c'), undefined)
    assert.deepEqual(await listed(objects, ''), [])
    await assert.rejects(objects.putIf('state/c', Buffer.from('2'), etag), PreconditionFailedError)
    await objects.putIf('state/c', Buffer.from('2'), null)
  })

  test(`${name}: what is written once is neither replaced nor removed`, async (t) => {
    const { objects } = await open(t)
    for (const key of ['evidence/w/c/1', 'changes/scope/000001.json', 'reports/r.json', 'log/batch/0']) {
      await objects.putOnce(key, Buffer.from('kept'))
      const etag = (await objects.get(key))?.etag ?? null
      const wording = { name: 'TypeError', message: `Cannot replace or remove "${key}": it is written only once` }
      await assert.rejects(objects.putIf(key, Buffer.from('other'), etag), wording)
      await assert.rejects(objects.putIf(`${key}-new`, Buffer.from('other'), null), TypeError)
      await assert.rejects(objects.remove(key), wording)
      assert.equal(await textOf(objects, key), 'kept')
    }
  })

  test(`${name}: log/checkpoint is replaced by compare-and-swap and never removed, although it lies with the evidence`, async (t) => {
    const { objects } = await open(t)
    const first = await objects.putIf('log/checkpoint', Buffer.from('1'), null)
    await objects.putIf('log/checkpoint', Buffer.from('2'), first)
    await assert.rejects(objects.putIf('log/checkpoint', Buffer.from('3'), first), PreconditionFailedError)
    await assert.rejects(objects.remove('log/checkpoint'), TypeError)
    assert.equal(await textOf(objects, 'log/checkpoint'), '2')
  })

  test(`${name}: get() of a version gives what was read then, where the store keeps versions`, async (t) => {
    const { objects } = await open(t)
    const etag = await objects.putIf('state/c', Buffer.from('1'), null)
    const first = await objects.get('state/c')
    assert.deepEqual(await objects.get('state/c', first?.version ?? null), first)
    await objects.putIf('state/c', Buffer.from('2'), etag)
    const then = await objects.get('state/c', first?.version ?? null)
    assert.equal(Buffer.from(then?.body ?? []).toString(), first?.version === null ? '2' : '1')
    assert.equal(await textOf(objects, 'state/c'), '2')
    assert.equal(await objects.get('state/d', first?.version ?? null), undefined)
  })

  test(`${name}: a key that is not safe everywhere is refused by every member`, async (t) => {
    const { objects } = await open(t)
    const unsafe = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../../b',
      'a/./b',
      '.tmp/a',
      'a\\b',
      'a b',
      'a\0',
      'a\nb',
      'é',
      'a/..',
      '~',
      'a%2fb',
      'x'.repeat(256),
      'x/'.repeat(600) + 'x',
    ]
    for (const key of unsafe) {
      await assert.rejects(objects.get(key), TypeError, key)
      await assert.rejects(objects.putOnce(key, Buffer.from('x')), TypeError, key)
      await assert.rejects(objects.putIf(key, Buffer.from('x'), null), TypeError, key)
      await assert.rejects(objects.remove(key), TypeError, key)
    }
    for (const prefix of ['/', '../', 'a//', './a', 'a/..', 'a/../b', 'é', '\n']) {
      await assert.rejects(listed(objects, prefix), TypeError, prefix)
    }
    await assert.rejects(objects.get('a\n\u001B[31m'), { message: /^Cannot use "a\\n\\u001b\[31m" as a key: [ -~]+$/ })
    assert.deepEqual(await listed(objects, ''), [])
  })

  test(`${name}: list() gives the keys of a prefix in text order, after the one that is named`, async (t) => {
    const { objects } = await open(t)
    let round = 0
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(safeKey, { maxLength: 12 }),
        fc.option(safeKey, { nil: '' }),
        fc.option(safeKey, { nil: undefined }),
        fc.nat(),
        async (drawn, prefix, startAfter, cut) => {
          // A directory cannot have a file of its own name; no key of ciphertrail is the beginning of another one's path.
          const keys = drawn.filter((key) => ![prefix, ...drawn].some((other) => other.startsWith(`${key}/`)))
          const base = `round${round++}/`
          for (const key of keys) await objects.putOnce(base + key, Buffer.from(key))
          // Beginnings of real keys are likely to match something.
          const from = keys[cut % (keys.length || 1)] ?? ''
          for (const asked of [prefix, from.slice(0, cut % (from.length + 1)).replace(/(^|\/)\.+$/, '$1'), '']) {
            for (const after of [startAfter, from, undefined]) {
              const expected = keys
                .map((key) => base + key)
                .filter((key) => key.startsWith(base + asked) && (after === undefined || key > base + after))
                .sort()
              const marker = after === undefined ? undefined : base + after
              assert.deepEqual(await listed(objects, base + asked, marker), expected)
            }
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  test(`${name}: any order of calls leaves what a map would have`, async (t) => {
    const { objects } = await open(t)
    const key = fc.constantFrom('a', 'b/c', 'b/d')
    const body = fc.constantFrom('1', '2')
    const call = fc.oneof(
      fc.record({ call: fc.constant('putOnce' as const), key, body }),
      fc.record({ call: fc.constant('putIf' as const), key, body, knows: fc.constantFrom('now', 'nothing', 'old') }),
      fc.record({ call: fc.constant('remove' as const), key }),
    )
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 15 }), async (calls) => {
        const base = `round${round++}/`
        const model = new Map<string, string>()
        const oldEtag = await objects.putIf(`${base}x`, Buffer.from('an old body'), null)
        await objects.remove(`${base}x`)
        for (const step of calls) {
          const at = base + step.key
          const had = model.get(at)
          if (step.call === 'remove') {
            await objects.remove(at)
            model.delete(at)
          } else if (step.call === 'putOnce') {
            const outcome = objects.putOnce(at, Buffer.from(step.body))
            await (had === undefined || had === step.body ? outcome : assert.rejects(outcome, ConflictError))
            model.set(at, had ?? step.body)
          } else {
            const etag = { now: (await objects.get(at))?.etag ?? null, nothing: null, old: oldEtag }[step.knows] ?? null
            const outcome = objects.putIf(at, Buffer.from(step.body), etag)
            if (step.knows === 'now' || (step.knows === 'nothing' && had === undefined)) {
              const written = await outcome
              model.set(at, step.body)
              assert.equal((await objects.get(at))?.etag, written)
            } else await assert.rejects(outcome, PreconditionFailedError)
          }
        }
        assert.deepEqual(await listed(objects, base), [...model.keys()].sort())
        for (const [at, text] of model) assert.equal(await textOf(objects, at), text)
      }),
      { numRuns: 40 },
    )
  })

  largeConformance(name, open)

  test(`${name}: a process killed at any moment leaves each object whole, and loses nothing it was told is written`, async (t) => {
    const { objects, opener } = await open(t)
    const draw = drawer(Number(process.env['PROPERTY_SEED'] ?? 20_261_124))
    for (let round = 0; round < 8; round++) {
      const replaced = await objects.get('state/c')
      const next = replaced === undefined ? 0 : numberOf(replaced.body) + 1
      const replacer = await startChild(opener, 'replaceForEver', 'state/c', next)
      const creator = await startChild(opener, 'createForEver', `evidence/${round}`, 0)
      for (const { child } of [replacer, creator]) {
        child.stdin.write('\n')
        setTimeout(() => child.kill('SIGKILL'), 5 + draw(60))
      }
      await Promise.all([replacer.closed, creator.closed])

      const found = await objects.get('state/c')
      const acknowledged = replacer.lines.length === 0 ? next - 1 : Number(replacer.lines.at(-1))
      const number = found === undefined ? -1 : numberOf(found.body)
      assert.ok(number === acknowledged || number === acknowledged + 1, `${number} after ${acknowledged}`)

      const keys = await listed(objects, `evidence/${round}/`)
      assert.ok(keys.length === creator.lines.length || keys.length === creator.lines.length + 1)
      for (const key of keys) {
        assert.equal(`evidence/${round}/${numberOf((await objects.get(key))?.body ?? Buffer.alloc(0))}`, key)
      }
      await objects.putIf('state/c', numberedBody(number + 1), found?.etag ?? null)
    }
  })

  test(`${name}: a process killed while it writes a large object leaves none`, async (t) => {
    const { objects, opener } = await open(t)
    const child = await startChild(opener, 'writeLarge', 'packs/a', 20)
    child.child.stdin.write('\n')
    while (child.lines.length < 10) await new Promise((resolve) => setTimeout(resolve, 5))
    child.child.kill('SIGKILL')
    await child.closed
    assert.deepEqual(await listed(objects, ''), [])
    assert.equal(await objects.large?.open('packs/a'), undefined)
    await runTogether([await startChild(opener, 'writeLarge', 'packs/a', 3)])
    assert.equal((await objects.large?.open('packs/a'))?.size, 3e6)
  })

  if (!isRaced) return

  test(`${name}: putIf() lets one of many callers in the same process win`, async (t) => {
    const { objects } = await open(t)
    const race = async (etag: string | null) => {
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => objects.putIf('state/c', Buffer.from(`${etag} ${index}`), etag)),
      )
      const won = results.filter(({ status }) => status === 'fulfilled')
      const lost = results.filter(
        (result) => result.status === 'rejected' && result.reason instanceof PreconditionFailedError,
      )
      assert.deepEqual([won.length, lost.length], [1, 9])
      return (await objects.get('state/c'))?.etag ?? null
    }
    assert.notEqual(await race(await race(null)), null)
  })

  test(`${name}: putOnce() of different bytes by 8 processes at once lets exactly one win`, async (t) => {
    const { objects, opener } = await open(t)
    const texts = Array.from({ length: 8 }, (_, index) => `body of process ${index}`)
    const children = await Promise.all(texts.map((text) => startChild(opener, 'putOnce', 'evidence/w/c/1', text)))
    const printed = await runTogether(children)
    assert.deepEqual(printed.sort(), ['lost', 'lost', 'lost', 'lost', 'lost', 'lost', 'lost', 'won'])
    const winner = children.findIndex(({ lines }) => lines[0] === 'won')
    assert.equal(await textOf(objects, 'evidence/w/c/1'), texts[winner])
  })

  test(`${name}: putIf() loses none of 400 increments by 8 processes at once`, async (t) => {
    const { objects, opener } = await open(t)
    await runTogether(
      await Promise.all(Array.from({ length: 8 }, () => startChild(opener, 'increment', 'state/c', 50))),
    )
    assert.equal(await textOf(objects, 'state/c'), '400')
  })
}
