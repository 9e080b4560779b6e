import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readPage, UnexpectedAnswerError } from '../../../../lib/store/objects/s3/listing.ts'
import type { ListPage } from '../../../../lib/store/objects/s3/listing.ts'

const PREFIX = 'prefix/evidence/'

/** What S3 would answer, page by page. */
function pagesOf(keys: readonly string[], size: number): ListPage[] {
  const pages = Array.from({ length: Math.max(1, Math.ceil(keys.length / size)) }, (_, index) =>
    keys.slice(index * size, (index + 1) * size),
  )
  return pages.map((page, index) => ({
    KeyCount: page.length,
    IsTruncated: index < pages.length - 1,
    Prefix: PREFIX,
    ...(index < pages.length - 1 ? { NextContinuationToken: `token ${index + 1}` } : {}),
    ...(page.length === 0 ? {} : { Contents: page.map((key) => ({ Key: key })) }),
  }))
}

/** Reads as the store does; undefined where it asks for a page that there is not. */
function readAll(pages: readonly ListPage[]): string[] | undefined {
  const keys: string[] = []
  let token: string | undefined
  let startAfter = ''
  do {
    const page = pages[token === undefined ? 0 : Number(token.slice('token '.length))]
    if (page === undefined) return undefined
    const { keys: found, next } = readPage(page, { prefix: PREFIX, startAfter, token })
    keys.push(...found)
    startAfter = found.at(-1) ?? startAfter
    token = next
  } while (token !== undefined)
  return keys
}

const key = fc.stringMatching(/^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,3}$/).map((name) => PREFIX + name)
const pages = fc
  .tuple(fc.uniqueArray(key, { maxLength: 12 }), fc.integer({ min: 1, max: 5 }))
  .map(([keys, size]) => ({ keys: keys.toSorted(), pages: pagesOf(keys.toSorted(), size) }))

test('readPage() reads every list whole, whatever the size of its pages', () => {
  fc.assert(fc.property(pages, ({ keys, pages: all }) => assert.deepEqual(readAll(all), keys)))
})

const DAMAGES: Readonly<Record<string, (page: ListPage) => ListPage>> = {
  'a key is lost': ({ Contents = [], ...page }) => ({ ...page, Contents: Contents.slice(1) }),
  'the last key is lost': ({ Contents = [], ...page }) => ({ ...page, Contents: Contents.slice(0, -1) }),
  'all keys are lost': ({ Contents: _, ...page }) => page,
  'a key comes twice': ({ Contents = [], ...page }) => ({ ...page, Contents: [...Contents.slice(0, 1), ...Contents] }),
  'one key stands for another': ({ Contents = [], ...page }) => ({
    ...page,
    Contents: [...Contents.slice(1), ...Contents.slice(1, 2)],
  }),
  'the order is another': ({ Contents = [], ...page }) => ({ ...page, Contents: Contents.toReversed() }),
  'a key has no name': ({ Contents = [], ...page }) => ({ ...page, Contents: [{}, ...Contents.slice(1)] }),
  'a key is of another prefix': ({ Contents = [], ...page }) => ({
    ...page,
    Contents: [{ Key: 'prefix/other' }, ...Contents.slice(1)],
  }),
  'the count is missing': ({ KeyCount: _, ...page }) => page,
  'nothing says whether it goes on': ({ IsTruncated: _, ...page }) => page,
  'it says the opposite of whether it goes on': (page) => ({ ...page, IsTruncated: page.IsTruncated !== true }),
  'the token is missing': ({ NextContinuationToken: _, ...page }) => page,
  'the token is empty': (page) => ({ ...page, NextContinuationToken: '' }),
  'it is of another prefix': (page) => ({ ...page, Prefix: 'prefix/' }),
  'it is empty': () => ({}),
}

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`readPage() gives the whole list or an error where ${what}`, () => {
    let refused = 0
    fc.assert(
      fc.property(pages, fc.nat(), ({ keys, pages: all }, at) => {
        const damaged = all.with(at % all.length, damage(all[at % all.length] ?? {}))
        let read
        try {
          read = readAll(damaged)
        } catch (error) {
          assert.ok(error instanceof UnexpectedAnswerError)
          refused++
          return
        }
        assert.deepEqual(read, keys)
      }),
    )
    assert.ok(refused > 0)
  })
}
