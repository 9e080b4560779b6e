/** The pages from the zip of the function: what it loads on demand, and its templates, lie where they are looked for. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { GatewayHandler } from '../support/aws/api-gateway.ts'
import { capturedLog } from '../support/aws/lambda.ts'
import { packagedHandler } from '../support/aws/packaged-functions.ts'
import { type PagesWorld, startPagesWorld } from '../support/aws/pages-world.ts'
import { plainBrowser } from '../support/sign-in/plain-browser.ts'

const ended: (() => Promise<void> | void)[] = []

let world: PagesWorld

before(async () => {
  world = await startPagesWorld({ after: (end) => void ended.push(end) })
  world.gateway.lead((await packagedHandler('query')) as GatewayHandler)
})
after(async () => {
  for (const end of ended.toReversed()) await end()
})

test('whoever signs in sees every page, from the zip alone', async (t) => {
  const log = capturedLog(t)
  const browser = plainBrowser()
  const visit = (path: string) => browser.visit(new URL(path, world.gateway.url))
  assert.equal((await visit('/')).status, 401)
  assert.equal((await visit('/sign-in?next=/')).status, 200)
  const [, line = ''] = /<a href="(\/paths\/[^"]+)"/.exec((await visit('/paths')).text) ?? []
  const places = ['/', '/clusters', '/paths', '/workloads', '/flow', '/changes', '/reports', '/log', '/v1/clusters']
  for (const path of [...places, line, '/?at=2026-11-24T12:10:00Z']) {
    const { status, text } = await visit(path)
    assert.equal(status, 200, `${path}: ${text}`)
  }
  assert.match((await visit('/flow')).text, /<svg/)
  assert.ok(log.lines().every(({ error }) => error === undefined || error === null))
})
