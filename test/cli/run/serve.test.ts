import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { run, start } from '../../support/process/command-line.ts'
import { CLIENT, startOidcServer } from '../../support/sign-in/oidc-server.ts'
import { plainBrowser } from '../../support/sign-in/plain-browser.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const TOKEN = '0123456789abcdef0123456789abcdef'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ciphertrail-serve-'))
  await fillHistories(directoryObjects(join(folder, 'store')))
  writeFileSync(join(folder, 'tokens'), `${TOKEN} west\n`, { mode: 0o600 })
})
after(() => rm(folder, { recursive: true, force: true }))

/** Starts `serve` on a free port; gives what it prints up to the line that ends with an address it can be reached at. */
async function serve(...args: string[]) {
  const started = start(['--store', 'store', 'serve', '--port', '0', ...args], { folder })
  const lines: string[] = []
  const reader = createInterface({ input: started.child.stdout ?? assert.fail() })
  reader.on('line', (line) => lines.push(line))
  while (lines.length < 2) await once(reader, 'line')
  if (lines[1]?.startsWith('Open') === true && lines.length < 3) await once(reader, 'line')
  const [, url = ''] = /(http:\S+)/.exec(lines[0] ?? '') ?? []
  return { ...started, lines, url, link: (lines[2] ?? '').trim() }
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal)
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

const ask = (url: string, path: string, cookie = '') =>
  fetch(new URL(path, url), { redirect: 'manual', headers: { cookie } })

test('serve prints a link that lets its reader in, and nobody else', async () => {
  const { child, lines, url, link } = await serve()
  matchesText(lines[0])
  assert.match(link, new RegExp(`^${url}/enter/[\\w-]{43}$`))
  assert.equal((await ask(url, '/')).status, 401)
  assert.equal((await ask(url, '/v1/clusters')).status, 401)
  assert.equal((await ask(url, '/enter/0123456789012345678901234567890123456789012')).status, 401)
  const entered = await ask(url, new URL(link).pathname)
  assert.deepEqual([entered.status, entered.headers.get('location')], [303, '/'])
  assert.equal(entered.headers.get('referrer-policy'), 'no-referrer')
  const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? ''
  const page = await ask(url, '/', cookie)
  assert.equal(page.status, 200)
  assert.match(await page.text(), /<h1 class="verdict">/)
  assert.equal((await ask(url, '/v1/clusters', cookie)).status, 200)
  assert.equal((await ask(url, '/health')).status, 200)
  assert.equal(await stop(child, 'SIGTERM'), 0)
})

test('serve warns in one line if its store does not exist or has no cluster', async () => {
  for (const [store, why] of [
    ['nowhere', /^The pages will be empty: store "nowhere" does not exist\n$/],
    ['.', /^The pages will be empty: store "\." has no cluster\n$/],
  ] as const) {
    const { child, ended } = await serve('--store', store)
    child.kill('SIGTERM')
    assert.match((await ended).stderr, why)
  }
  const { child, ended } = await serve()
  child.kill('SIGTERM')
  assert.equal((await ended).stderr, '')
})

test('on loopback it answers to no other name, so that no page on the web can ask', async () => {
  const { child, url, link } = await serve()
  for (const path of ['/', '/v1/clusters', new URL(link).pathname]) {
    const [foreign] = (await once(
      request(new URL(path, url), { headers: { host: 'evil.example' } }).end(),
      'response',
    )) as [{ statusCode: number; headers: Record<string, string> }]
    assert.equal(foreign.statusCode, 403)
    assert.equal(foreign.headers['set-cookie'], undefined)
  }
  assert.equal(await stop(child, 'SIGINT'), 0)
})

test('with a token file it prints no link, and a token shows its own clusters only', async () => {
  const { child, url, lines } = await serve('--token-file', 'tokens', '--log', 'json')
  matchesText(lines[1])
  const entered = await fetch(new URL('/sign-in', url), {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ token: TOKEN }),
  })
  const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? ''
  assert.doesNotMatch(await (await ask(url, '/', cookie)).text(), /east/)
  assert.equal((await ask(url, '/paths?cluster=east', cookie)).status, 404)
  const leave = await stop(child, 'SIGTERM')
  assert.equal(leave, 0)
  const logged = lines.slice(2).map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    logged.map(({ path, status, subject }) => [path, status, subject]),
    [
      ['/sign-in', 303, null],
      ['/', 200, 'token 1'],
      ['/paths', 404, 'token 1'],
    ],
  )
  assert.doesNotMatch(JSON.stringify(logged), new RegExp(TOKEN))
})

test('it refuses to answer a whole network without saying who gets in, in one line', async () => {
  for (const host of ['0.0.0.0', '192.0.2.1', '::']) {
    const { code, stdout, stderr } = await run(['serve', '--host', host], { folder })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(
      stderr,
      /^Cannot listen on "[^"]+" for everybody: wanted --token-file, --jwt-issuer or --oidc-issuer, or a loopback address[^\n]*\n$/,
    )
  }
})

test('people sign in at an issuer, with a secret from a file', async (t) => {
  const issuer = await startOidcServer(t, () => new Date())
  issuer.user({ sub: 'ann', teams: ['west'] })
  writeFileSync(join(folder, 'secret'), `${CLIENT.secret}\n`, { mode: 0o600 })
  // A proxy would stand at this address; it is the one that the issuer leads back to.
  const oidc = ['--oidc-issuer', issuer.url, '--oidc-client', CLIENT.id, '--oidc-secret-file', 'secret']
  const { child, url, lines } = await serve(
    ...oidc,
    ...'--jwt-claim teams --url http://localhost:9 --log json'.split(' '),
  )
  assert.equal(lines[1], 'Sign in at http://localhost:9.')
  const browser = plainBrowser()
  const begun = await browser.ask(new URL('/sign-in?next=/log', url))
  const atIssuer = await browser.ask(begun.headers.get('location') ?? '')
  const back = new URL(atIssuer.headers.get('location') ?? '')
  assert.equal(back.origin + back.pathname, 'http://localhost:9/sign-in/callback')
  const page = await browser.visit(new URL(back.pathname + back.search, url))
  assert.deepEqual([page.status, page.url.href], [200, new URL('/log', url).href])
  assert.match(issuer.tokenRequests[0]?.authorization ?? '', /^Basic /)
  assert.equal((await browser.visit(new URL('/paths?cluster=east', url))).status, 404)
  assert.equal(await stop(child, 'SIGTERM'), 0)
  assert.doesNotMatch(lines.join(), /code=|state=/)
  assert.match(lines.join(), /"subject":"ann"/)
})

test('where people sign in is checked at the start, in one line', async (t) => {
  const issuer = await startOidcServer(t, () => new Date())
  issuer.misbehave({ metadata: { issuer: 'https://other.example' } })
  writeFileSync(join(folder, 'readable'), 'x', { mode: 0o644 })
  const oidc = (address: string, ...args: string[]) => ['--oidc-issuer', address, '--oidc-client', 'c', ...args]
  const url = ['--url', 'https://ct.example.com']
  const login = 'https://login.example.com'
  for (const [args, wanted] of [
    [['--oidc-issuer', login], 2],
    [['--oidc-client', 'c'], 2],
    [oidc(login), 2],
    [oidc(login, '--url', 'http://ct.example.com'), 2],
    [oidc(login, '--url', 'https://example.com/ct'), 2],
    [oidc('http://login.example.com', ...url), 2],
    [oidc('https://a:b@login.example.com', ...url), 2],
    [oidc('https://169.254.169.254', ...url), 2],
    [oidc(login, ...url, '--oidc-scope', 'profile'), 2],
    [oidc(login, ...url, '--oidc-secret-file', 'nowhere'), 1],
    [oidc(login, ...url, '--oidc-secret-file', 'readable'), 1],
    [oidc(issuer.url, ...url), 1],
    [oidc('http://127.0.0.1:9', ...url), 1],
  ] as const) {
    const { code, stderr } = await run(['serve', '--store', 'store', '--port', '0', ...args], { folder })
    assert.equal(code, wanted, `${args.join(' ')}: ${stderr}`)
    matchesText(stderr)
    assert.equal(stderr.trim().split('\n').length, 1)
  }
})

test('what it cannot use is told in one line', async () => {
  for (const args of [
    ['--port', '65536'],
    ['--port', 'x'],
    ['--log', 'xml'],
    ['--url', 'ftp://x'],
  ] as const) {
    const { code, stderr } = await run(['serve', ...args], { folder })
    assert.equal(code, 2)
    matchesText(stderr, TEXT, args)
  }
})
