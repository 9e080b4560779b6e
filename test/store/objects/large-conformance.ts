import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ConflictError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import type { LargeObject, LargeObjects } from '../../../lib/store/objects/large.ts'

function largeOf({ large }: Objects): LargeObjects {
  return large ?? assert.fail('the store keeps large objects')
}

async function bytesOf(found: LargeObject | undefined): Promise<Buffer> {
  assert.ok(found)
  const read: Uint8Array[] = []
  for await (const piece of found.read()) read.push(piece)
  return Buffer.concat(read)
}

async function listed(objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list('')) keys.push(key)
  return keys
}

const MEBIBYTE = 1024 * 1024

/** What every store must do with objects that are too large for memory. */
export function largeConformance(name: string, open: (t: TestContext) => Promise<{ readonly objects: Objects }>): void {
  test(`${name}: large.putOnce() keeps what was written into the stream, and large.open() gives it in pieces`, async (t) => {
    const { objects } = await open(t)
    const large = largeOf(objects)
    assert.equal(await large.open('packs/none'), undefined)
    for (const size of [0, 1, 8 * MEBIBYTE, 17 * MEBIBYTE + 3]) {
      const body = randomBytes(size)
      const pieces = Array.from({ length: Math.ceil(size / 999_999) }, (_, at) =>
        body.subarray(at * 999_999, (at + 1) * 999_999),
      )
      const key = `packs/${size}`
      const told = await large.putOnce(key, async (sink) => {
        await pipeline(Readable.from(pieces, { objectMode: false }), sink)
        return size
      })
      assert.equal(told, size)
      const found = await large.open(key)
      assert.equal(found?.size, size)
      assert.equal(Buffer.compare(await bytesOf(found), body), 0)
      assert.equal(Buffer.compare(await bytesOf(await large.open(key, found.version)), body), 0)
      if (size < 9 * MEBIBYTE) assert.equal(Buffer.compare((await objects.get(key))?.body ?? assert.fail(), body), 0)
    }
  })

  test(`${name}: large.putOnce() shows nothing before it has ended, leaves nothing where the writer fails, and never writes over another`, async (t) => {
    const { objects } = await open(t)
    const large = largeOf(objects)
    for (const size of [10, 17 * MEBIBYTE]) {
      const failing = large.putOnce('packs/a', async (sink) => {
        async function* pieces() {
          yield Buffer.alloc(size)
          assert.deepEqual(await listed(objects), [])
          throw new RangeError('the evidence is gone')
        }
        await pipeline(pieces(), sink)
      })
      await assert.rejects(failing, { name: 'RangeError', message: 'the evidence is gone' })
      assert.equal(await large.open('packs/a'), undefined)
      assert.deepEqual(await listed(objects), [])
    }
    const write = (text: string, size: number) =>
      large.putOnce('packs/a', (sink) => pipeline(Readable.from([Buffer.alloc(size, text)]), sink))
    await write('first', 10)
    for (const size of [10, 17 * MEBIBYTE]) await assert.rejects(write('other', size), ConflictError)
    assert.equal((await bytesOf(await large.open('packs/a'))).toString(), 'firstfirst')
    await assert.rejects(
      large.putOnce('evidence/w/c/1', async () => assert.fail('it must not be asked')),
      TypeError,
    )
    await assert.rejects(
      large.putOnce('../a', async () => assert.fail('it must not be asked')),
      TypeError,
    )
  })
}
