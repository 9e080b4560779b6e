import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { documentOf, recordReport } from '../../../lib/store/evidence/report-records.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { documentKey } from '../../../lib/store/report-keys.ts'

const DOCUMENTS = [
  ['report.html', '<!doctype html><title>A report</title>'],
  ['report.pdf', '%PDF-1.7'],
  ['paths.csv', 'cluster\r\n'],
  ['summary.json', '{}'],
  ['oscal.json', '{"assessment-results":{}}'],
  ['ocsf.json', '[]'],
] as const

/** Keeps a report of clusters over a week, with its documents unless it was made elsewhere. */
async function keep(
  objects: Objects,
  week: number,
  clusters: readonly string[],
  isHere = true,
  removed: readonly string[] = [],
): Promise<string> {
  const day = (number: number) => `2026-11-${String(number).padStart(2, '0')}T00:00:00Z`
  const { key, write } = recordReport(
    {
      period: { from: day(7 * week - 6), to: day(7 * week + 1), label: `Week ${week}`, timeZone: 'UTC' },
      clusters,
      ...(removed.length === 0 ? {} : { removed }),
      version: '1.2.3',
      checkpoint: null,
      documents: DOCUMENTS.map(([name, body]) => documentOf(name, Buffer.from(body))),
    },
    objects,
  )
  await write()
  if (isHere) for (const [name, body] of DOCUMENTS) await objects.putOnce(documentKey(key, name), Buffer.from(body))
  return key.replace(/^reports\/(.*)\.json$/, '$1')
}

type Item = { id: string; period: { label: string }; documents: { name: string; href: string | null }[] }

test('reports are told newest first, in pages, with the documents that are kept', async (t) => {
  const objects = memoryObjects()
  const ids = [
    await keep(objects, 1, ['east']),
    await keep(objects, 2, ['east', 'west']),
    await keep(objects, 3, ['west'], false),
  ]
  const { ask } = await startApi(t, { objects })
  const found: Item[] = []
  for (let next: string | null = ''; next !== null;) {
    const response = await ask(`/v1/reports?limit=2${next === '' ? '' : `&cursor=${next}`}`)
    const page = (await response.json()) as { items: Item[]; next: string | null }
    found.push(...page.items)
    next = page.next
  }
  assert.deepEqual(
    found.map(({ id }) => id),
    ids.toReversed(),
  )
  const hrefs = (item: Item | undefined) => item?.documents.map(({ href }) => href)
  assert.deepEqual(
    hrefs(found[0]),
    DOCUMENTS.map(() => null),
  )
  assert.equal(hrefs(found[1])?.[0], `/v1/reports/${ids[1]}/report.html`)
  const one = (await (await ask(`/v1/reports/${ids[1]}`)).json()) as Item
  assert.deepEqual(one, found[1])
})

test('a record that cannot be read is counted, and hides no other', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-reports-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const objects = directoryObjects(folder)
  const ids = [await keep(objects, 1, ['east']), await keep(objects, 2, ['east'])]
  await objects.putOnce(`reports/20261130T000000Z-${'0'.repeat(16)}.json`, Buffer.from('{"format":"of somebody"}'))
  execFileSync('mkfifo', [join(folder, `reports/20261130T000000Z-${'1'.repeat(16)}.json`)])
  const { ask } = await startApi(t, { objects })
  const response = await ask('/v1/reports')
  assert.equal(response.status, 200)
  const { items, unreadable } = (await response.json()) as { items: Item[]; unreadable: number }
  assert.deepEqual([items.map(({ id }) => id), unreadable], [ids.toReversed(), 2])
  for (const digit of ['0', '1'])
    assert.equal((await ask(`/v1/reports/20261130T000000Z-${digit.repeat(16)}`)).status, 503)
})

test('a document is given as it was recorded, with its type, and runs nothing in a browser', async (t) => {
  const objects = memoryObjects()
  const id = await keep(objects, 1, ['east'])
  const { ask } = await startApi(t, { objects })
  for (const [name, body] of DOCUMENTS) {
    const response = await ask(`/v1/reports/${id}/${name}`)
    assert.deepEqual([response.status, await response.text()], [200, body], name)
  }
  const page = await ask(`/v1/reports/${id}/html`)
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none';.*sandbox/)
  for (const [short, type, body] of [
    ['oscal', 'application/json', '{"assessment-results":{}}'],
    ['ocsf', 'application/json', '[]'],
  ] as const) {
    const response = await ask(`/v1/reports/${id}/${short}`)
    assert.deepEqual([response.status, response.headers.get('content-type'), await response.text()], [200, type, body])
    assert.match(response.headers.get('content-disposition') ?? '', new RegExp(`^attachment; .*-${short}\\.json"$`))
  }
  const pdf = await ask(`/v1/reports/${id}/pdf`, { headers: { accept: 'application/pdf' } })
  assert.equal(pdf.headers.get('content-disposition'), `inline; filename="ciphertrail-${id}-report.pdf"`)
  const again = await ask(`/v1/reports/${id}/pdf`, { headers: { 'if-none-match': pdf.headers.get('etag') ?? '' } })
  assert.equal(again.status, 304)
  assert.equal((await ask(`/v1/reports/${id}/pdf`, { headers: { accept: 'text/csv' } })).status, 406)
})

test('a document by a name that every object has is not there, and no failure', async (t) => {
  const objects = memoryObjects()
  const id = await keep(objects, 1, ['east'])
  const { ask } = await startApi(t, { objects })
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', 'report.constructor']) {
    for (const place of [
      `/v1/reports/${id}/${name}`,
      `/v1/reports/${name}`,
      `/v1/reports/x/${name}`,
      `/v1/clusters/${name}`,
      `/v1/${name}`,
    ])
      assert.equal((await ask(place)).status, 404, place)
    assert.equal((await ask(`/v1/paths?${name}=1`)).status, 400, name)
  }
})

test('a document that is not the one that was recorded is never shown', async (t) => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const id = await keep(objects, 1, ['east'])
  held.set(documentKey(`reports/${id}.json`, 'report.html'), Buffer.from('<p>All clear</p>'))
  const response = await (await startApi(t, { objects })).ask(`/v1/reports/${id}/html`)
  assert.equal(response.status, 503)
  assert.doesNotMatch(await response.text(), /All clear/)
})

test('a report is shown only to whoever may see all of its clusters, and no name leads out of it', async (t) => {
  const objects = memoryObjects()
  const mine = await keep(objects, 1, ['west'])
  const both = await keep(objects, 2, ['east', 'west'])
  const nobody = await keep(objects, 3, [])
  // Its first page says that "east" was taken out of the registry.
  const names = await keep(objects, 4, ['west'], true, ['east'])
  const { ask } = await startApi(t, { objects })
  const west = { headers: { authorization: 'Bearer west' } }
  const { items } = (await (await ask('/v1/reports', west)).json()) as { items: Item[] }
  assert.deepEqual(
    items.map(({ id }) => id),
    [mine],
  )
  const absent = '20261108T000000Z-0123456789abcdef'
  const bodies = await Promise.all(
    [both, nobody, names, absent, 'x', '..%2F..%2Fregistry%2Fclusters', '%00', `%32${mine.slice(1)}`].map(
      async (id) => {
        const [record, page] = await Promise.all([ask(`/v1/reports/${id}`, west), ask(`/v1/reports/${id}/html`, west)])
        assert.deepEqual([record.status, page.status], [404, 404], id)
        return `${await record.text()}${await page.text()}`
      },
    ),
  )
  assert.equal(new Set(bodies).size, 1)
  for (const name of ['report.exe', '..%2Fx.json', 'nothing.csv', 'xml', '%68tml'])
    assert.equal((await ask(`/v1/reports/${mine}/${name}`, west)).status, 404, name)
})
