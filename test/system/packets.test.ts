import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { type ServerResponse, createServer as createHttpServer, get as httpGet } from 'node:http'
import { createServer as createHttpsServer, get as httpsGet } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { listenOnLoopback } from '../../demo/loopback.ts'
import { recordedCaptures } from '../../record/record-packets.ts'
import { makeAuthority } from '../../demo/replay-kubernetes.ts'
import { readCapture } from '../../lib/collect/packets/tshark.ts'
import type { PacketRow } from '../../lib/observed/packet-rows.ts'
import { captureNames, captureRows, flowsOf } from '../support/truth/captures.ts'
import { linesOf, parseNdjson, run, runOnTerminal, start } from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import { shownBelow } from '../support/doc-examples.ts'
import { runHere } from '../support/servers/exec-server.ts'
import { startKubernetesServer } from '../support/servers/kubernetes-server.ts'
import { freshFolder } from '../support/recorder.ts'
import { MARKER, type PcapConnection, type Sent, pcapOf, recordTls } from '../support/truth/tls-captures.ts'

/** A flow of `packets --json`. */
type Flow = {
  readonly client: { readonly port: number; readonly workload: { readonly name: string } | null }
  readonly server: { readonly port: number; readonly workload: { readonly name: string } | null }
  readonly verdict: string
  readonly reason: string
  readonly tls: {
    readonly version: string | null
    readonly serverName: string | null
    readonly alpn: { readonly offered: readonly string[]; readonly chosen: string | null }
    readonly clientCertificate: string
    readonly identity: string | null
  } | null
}

const captures = recordedCaptures(process.env['CIPHERTRAIL_RECORDINGS'])

async function packets(file: string, folder: string, ...more: string[]): Promise<Flow[]> {
  const { code, stdout, stderr } = await run(['packets', file, '--json', ...more], { folder })
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  return parseNdjson(stdout) as unknown as Flow[]
}

function written(context: TestContext, bytes: Uint8Array): { folder: string; file: string } {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'test.pcap'), bytes)
  return { folder, file: 'test.pcap' }
}

/** What the flows of connections read as, by their client's port. */
async function read(context: TestContext, connections: readonly PcapConnection[]): Promise<Flow[]> {
  const { folder, file } = written(context, pcapOf(connections))
  return packets(file, folder)
}

const said = ({ verdict, reason, tls }: Flow): string =>
  [verdict, reason, ...(verdict === 'tls' ? [tls?.version, tls?.clientCertificate] : [])].filter(Boolean).join(' ')

type Tls = {
  readonly server: { cert: string; key: string }
  readonly client: { cert: string; key: string }
  readonly ca: string
}
let tls: Tls
before(async () => {
  const authority = await makeAuthority()
  tls = { server: await authority.issue(), client: await authority.issue(['auditor']), ca: authority.ca }
})

const text = (by: Sent['by'], content: string): Sent => ({ by, bytes: Buffer.from(content, 'latin1') })

describe('tshark on recorded captures', () => {
  for (const [name, file] of captures)
    if (existsSync(file))
      test(`the fixture of ${name} is what "npm run record packets" makes of it`, async () => {
        const rows: PacketRow[] = []
        for await (const row of readCapture(file, process.env['PATH'])) rows.push(row)
        assert.deepEqual(JSON.parse(JSON.stringify(rows)), captureRows(name))
      })

  test('packets says of a capture what its rows come to', async (context) => {
    const folder = freshFolder(context)
    for (const name of captureNames()) {
      const file = captures.get(name)
      if (file === undefined) continue
      const verdicts = (await packets(file, folder)).map(({ verdict, reason }) => [verdict, reason])
      assert.deepEqual(
        verdicts,
        flowsOf(captureRows(name)).map(({ verdict, reason }) => [verdict, reason]),
      )
    }
    assert.deepEqual(readdirSync(folder), [])
  })

  test('packets shows what docs/checking-by-hand.md shows', async (context) => {
    const file = captures.get('raw-backend')
    if (file === undefined) return context.skip('the recording "raw" is not there')
    const { stdout } = await run(['packets', file, '--port', '4143'], { folder: freshFolder(context) })
    assert.equal(stdout.trimEnd(), shownBelow('ciphertrail packets backend.pcap --port 4143'))
  })

  test('packets reads pcapng as it reads pcap, and one port of either', async (context) => {
    const folder = freshFolder(context)
    const file = captures.get('demo-voting-meshed') ?? ''
    execFileSync('editcap', ['-F', 'pcapng', file, join(folder, 'same.pcapng')])
    const flows = await packets(file, folder)
    assert.deepEqual(await packets('same.pcapng', folder), flows)
    const ofPort = await packets(file, folder, '--port', '4143')
    assert.deepEqual(
      ofPort,
      flows.filter(({ client, server }) => client.port === 4143 || server.port === 4143),
    )
    assert.ok(ofPort.length > 0 && ofPort.length < flows.length)
  })

  test('packets names the ends by the Kubernetes lists next to the capture', async (context) => {
    const mesh = await startDemoMesh()
    context.after(() => mesh.close())
    const file = captures.get('demo-voting-unmeshed') ?? ''
    const none = await mesh.run('packets', file, '--cluster', 'shop')
    assert.match(none.stderr, /^No address is named: the store holds no Kubernetes lists of cluster "shop"\n$/)
    for (const window of mesh.windows.slice(0, 4)) await mesh.run('collect', ...mesh.optionsAt(window))
    const { code, stdout, stderr } = await mesh.run('packets', file, '--cluster', 'shop')
    assert.equal(code, 0)
    assert.equal(`${stderr}${stdout}`.trimEnd(), shownBelow('ciphertrail packets voting.pcap --cluster shop'))
    assert.match(
      stderr,
      /^Addresses are named by the lists of cluster "shop" of 2026-11-24T13:11:00Z and 2026-11-24T13:16:00Z\n$/,
    )
    assert.match(
      stdout,
      /^4 TCP connections between hosts: 4 clear, 0 unknown, 0 TLS, 0 without payload\. 57 packets from /,
    )
    assert.match(stdout, /^emojivoto\/web +emojivoto\/voting:8080 +▲ clear +1 .*text on the wire$/m)
    const clients = parseNdjson(
      (await mesh.run('packets', file, '--cluster', 'shop', '--json')).stdout,
    ) as unknown as Flow[]
    assert.deepEqual(
      new Set(clients.map(({ client }) => client.workload?.name)),
      new Set(['web', 'scraper', undefined]),
    )
  })
})

describe('tshark on real TLS', () => {
  test('packets tells version, server name, protocol and client certificate, on any port', async (context) => {
    const { server, client, ca } = tls
    const alpn = { ALPNProtocols: ['h2', 'http/1.1'] }
    const name = { servername: 'web.shop.serviceaccount.identity.linkerd.cluster.local' }
    const mutual = { ...server, ...alpn, ca, requestCert: true }
    const with12 = { maxVersion: 'TLSv1.2' } as const
    const sent = [
      await recordTls({ ...mutual }, { ...client, ...alpn, ...name }),
      await recordTls({ ...mutual, ...with12 }, { ...client, ...alpn, ...name }),
      await recordTls({ ...mutual, ...with12, rejectUnauthorized: false }, { ...alpn, ...name }),
      await recordTls({ ...server, ...with12 }, {}),
    ]
    const ports = [443, 4143, 53, 6379, 8080, 50051]
    const connections = ports.flatMap((serverPort, index) =>
      sent.map((one, number) => ({
        sent: one,
        clientPort: 40000 + index * 10 + number,
        serverPort,
        segment: 300 + index * 700,
      })),
    )
    const flows = await read(context, connections)
    assert.deepEqual(
      flows.map(said),
      ports.flatMap(() => [
        'tls TLS 1.3 not-visible',
        'tls TLS 1.2 seen',
        'tls TLS 1.2 not-seen',
        'tls TLS 1.2 not-seen',
      ]),
    )
    assert.deepEqual(flows[0]?.tls?.alpn, { offered: ['h2', 'http/1.1'], chosen: null })
    assert.deepEqual(flows[1]?.tls?.alpn, { offered: ['h2', 'http/1.1'], chosen: 'h2' })
    assert.deepEqual([flows[1]?.tls?.identity, flows[3]?.tls?.identity], ['web.shop', null])
  })

  test('packets does not call TLS what only looks like it', async (context) => {
    const { server, ca } = tls
    const good = await recordTls({ ...server }, {})
    const without = { ciphers: 'ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const
    const nullCipher = await recordTls({ ...server, ...without }, without)
    const refused = await recordTls({ ...server, maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' })
    const swapped = good.map(({ by, bytes }): Sent => ({ by: by === 'client' ? 'server' : 'client', bytes }))
    const fake = Buffer.concat([Buffer.from([0x17, 3, 3, 0, MARKER.length]), Buffer.from(MARKER)])
    const cases: readonly (readonly [said: string, sent: readonly Sent[], hasOpening?: boolean])[] = [
      ['clear null-cipher', nullCipher],
      ['unknown handshake-refused', refused],
      ['unknown hello-in-wrong-direction', swapped],
      ['clear clear-then-tls', [text('client', '\0\0\0\x08\x04\xd2\x16\x2f'), text('server', 'S'), ...good]],
      ['clear clear-then-tls', [...good, text('client', `${MARKER} after the handshake`)]],
      ['unknown leaves-tls', [...good, text('client', '\0\x01\x02\x03\x04\x05\x06\x07')]],
      [
        'clear clear-then-tls',
        [
          { by: 'client', bytes: fake },
          { by: 'server', bytes: fake },
        ],
      ],
      ['unknown handshake-unfinished', good.slice(0, 1)],
      ['unknown handshake-not-captured', good.slice(2), false],
      ['clear text', [text('client', `GET /${MARKER} HTTP/1.1\r\nhost: shop\r\n\r\n`)], false],
      ['clear begins-without-tls', [text('client', '*1\r\n$4\r\nPING\r\n'), text('server', '+PONG\r\n')]],
      ['unknown beginning-not-captured', [text('client', '\0\x01\x02\x03\x04\x05\x06\x07')], false],
    ]
    assert.ok(ca.length > 0)
    const flows = await read(
      context,
      cases.map(([, sent, hasOpening = true], index) => ({
        sent,
        hasOpening,
        clientPort: 40000 + index,
        serverPort: 9000 + index,
      })),
    )
    assert.deepEqual(
      flows.map(said),
      cases.map(([expected]) => expected),
    )
  })

  test('packets keeps payload to itself, and shows hostile names as text', async (context) => {
    const hostile = 'x\u001b[31m\u202e.shop\ttab'
    const good = await recordTls({ ...tls.server }, {})
    const named = good.map(({ by, bytes }, index): Sent => ({
      by,
      bytes: index === 0 ? renamed(bytes, hostile) : bytes,
    }))
    const { folder, file } = written(
      context,
      pcapOf([
        { sent: named, clientPort: 40000, serverPort: 443 },
        { sent: [text('client', `POST / ${MARKER} ${MARKER}`)], clientPort: 40001, serverPort: 80 },
      ]),
    )
    const shown = await run(['packets', file], { folder })
    const json = await run(['packets', file, '--json'], { folder })
    const terminal = await runOnTerminal(['packets', file], { folder })
    for (const { stdout, stderr } of [shown, json, terminal]) {
      assert.ok(!`${stdout}${stderr}`.includes('MARKER'))
      assert.ok(!stdout.includes('\u202e') && !stdout.includes('\u001b[31m.'))
    }
    assert.match(shown.stdout, /server x\[U\+001B\]\[31m[^ ]*\.shop/)
    assert.deepEqual(readdirSync(folder), [file])
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith('ciphertrail-no-settings')),
      [],
    )
  })
})

/** A ClientHello with another server name, of another length: what a client may say, though no library does. */
function renamed(hello: Buffer, name: string): Buffer {
  const bytes = Buffer.from(name)
  const body = Buffer.concat([
    hello.subarray(9, 11 + 32),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    Buffer.from([0, 9 + bytes.length, 0, 0, 0, 5 + bytes.length, 0, 3 + bytes.length, 0, 0, bytes.length]),
    bytes,
  ])
  const handshake = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body])
  return Buffer.concat([Buffer.from([0x16, 3, 1, handshake.length >> 8, handshake.length & 255]), handshake])
}

describe('tshark on hostile captures', () => {
  test('packets ends well or with one line on a capture that is cut anywhere, and tells what came before', async (context) => {
    const whole = readFileSync(captures.get('demo-voting-meshed') ?? '')
    const folder = freshFolder(context)
    for (let length = 0; length < whole.length; length += Math.ceil(whole.length / 15)) {
      writeFileSync(join(folder, 'cut.pcap'), whole.subarray(0, length))
      const { code, stdout, stderr } = await run(['packets', 'cut.pcap', '--json'], { folder })
      assert.ok(code === 0 || (code === 1 && linesOf(stderr).length === 1), stderr)
      if (code === 1) assert.match(stderr, /^Cannot read (all of )?"cut\.pcap": [^\n]+[^.]\n$/)
      for (const { verdict } of parseNdjson(stdout)) assert.notEqual(verdict, 'tls')
    }
  })

  test('packets survives any damage, and calls nothing clear TLS', async (context) => {
    const whole = readFileSync(captures.get('demo-voting-unmeshed') ?? '')
    const folder = freshFolder(context)
    const damage = fc.array(fc.tuple(fc.nat({ max: whole.length - 25 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 300,
    })
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const bytes = Buffer.from(whole)
        for (const [at, value] of changes) bytes[24 + at] = value
        writeFileSync(join(folder, 'damaged.pcap'), bytes)
        const { code, signal, stdout, stderr } = await run(['packets', 'damaged.pcap', '--json'], { folder })
        assert.equal(signal, null)
        assert.ok(code === 0 || linesOf(stderr).length === 1, stderr)
        for (const { verdict } of parseNdjson(stdout)) assert.notEqual(verdict, 'tls')
      }),
      { numRuns: 30 },
    )
  })

  test('packets cares for nobody’s own settings of tshark', async (context) => {
    const folder = freshFolder(context)
    const settings = join(folder, '.config/wireshark')
    mkdirSync(settings, { recursive: true })
    writeFileSync(join(settings, 'disabled_protos'), 'tls\ntcp\n')
    writeFileSync(join(settings, 'preferences'), 'tcp.desegment_tcp_streams: FALSE\ntls.port: 1\n')
    const file = captures.get('demo-voting-meshed') ?? ''
    const env = { WIRESHARK_CONFIG_DIR: settings }
    const { stdout } = await run(['packets', file, '--json'], { folder, env })
    assert.equal(stdout, (await run(['packets', file, '--json'], { folder: freshFolder(context) })).stdout)
  })

  test('packets holds no capture in memory, however many connections are in it', async (context) => {
    const folder = freshFolder(context)
    const one = [text('client', 'GET / HTTP/1.1\r\nhost: shop\r\n\r\n'), text('server', 'HTTP/1.1 200 OK\r\n\r\n')]
    const many: PcapConnection[] = []
    for (let number = 0; number < 60_000; number++)
      many.push({ sent: one, clientPort: 1024 + (number % 60_000), serverPort: 80 + Math.floor(number / 60_000) })
    const part = pcapOf(many)
    writeFileSync(join(folder, 'large.pcap'), part)
    const { child, ended } = start(['packets', 'large.pcap'], { folder })
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, memoryOf(child.pid ?? 0))
    }, 200)
    const { code, stdout, stderr } = await ended
    clearInterval(timer)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, /^60000 TCP connections between hosts: 60000 clear, .* 300000 packets from /)
    context.diagnostic(`most memory ${Math.round(most / 1024)} MB`)
    assert.ok(most < 600 * 1024, `${most} kB`)
  })
})

/** Kilobytes that a process holds. */
function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0 // it has ended
  }
}

describe('packets --pod', () => {
  test('captures in a pod while connections are made, says of each what it was, and lets tshark end', async (context) => {
    const served = await startTraffic(context)
    const processes: ChildProcess[] = []
    const pod = {
      metadata: { name: 'web-0', namespace: 'shop', uid: 'uid-1' },
      spec: { nodeName: 'node-1', containers: [{ name: 'web' }, { name: 'linkerd-debug' }] },
      status: { phase: 'Running', podIP: '127.0.0.1' },
    }
    const pods = { status: 200, body: JSON.stringify({ items: [pod] }) }
    const kubernetes = await startKubernetesServer(() => pods, '2026-11-24T12:00:00Z')
    context.after(() => kubernetes.close())
    // This machine stands for the container: the command is run as it was asked for.
    kubernetes.run(({ command }) => runHere(command, (child) => processes.push(child)))
    const folder = freshFolder(context)
    kubernetes.writeKubeconfig(join(folder, 'kubeconfig'))
    assert.equal((await run(['cluster', 'add', 'prod', '--kubeconfig', 'kubeconfig'], { folder })).code, 0)

    const verdictsAt = async (port: number) => {
      const { code, stdout, stderr } = await run(
        ['packets', '--pod', 'shop/web-0', '--for', '4s', '--port', String(port), '--json'],
        { folder },
      )
      assert.equal(code, 0, stderr)
      assert.ok(!stdout.includes(MARKER) && !stderr.includes(MARKER))
      const flows = parseNdjson(stdout) as unknown as Flow[]
      assert.ok(flows.length > 0, 'no connection was captured')
      return new Set(flows.filter(({ server }) => server.port === port).map(({ verdict }) => verdict))
    }
    // What had begun before, or is not over at the end, is known in part.
    const clear = await verdictsAt(served.clear)
    assert.ok(clear.has('clear') && !clear.has('tls'), [...clear].join())
    const tls = await verdictsAt(served.tls)
    assert.ok(tls.has('tls') && [...tls].every((verdict) => verdict !== 'clear'), [...tls].join())
    assert.equal(processes.length, 2)
    for (const { exitCode, signalCode } of processes) assert.deepEqual([exitCode, signalCode], [0, null])
  })
})

/** Two servers, one in the clear and one with TLS, and a client that asks each of them again and again. */
async function startTraffic(context: TestContext): Promise<{ readonly clear: number; readonly tls: number }> {
  const authority = await makeAuthority()
  const answer = (_: unknown, response: ServerResponse) => void response.end(MARKER)
  const clear = await listenOnLoopback(createHttpServer(answer))
  const tls = await listenOnLoopback(createHttpsServer(await authority.issue(), answer))
  const timer = setInterval(() => {
    for (const url of [`http://127.0.0.1:${clear.port}/`, `https://127.0.0.1:${tls.port}/`]) {
      const get = url.startsWith('https') ? httpsGet : httpGet
      get(url, { ca: authority.ca, agent: false }, (response) => response.resume()).on('error', () => undefined)
    }
  }, 150)
  context.after(async () => {
    clearInterval(timer)
    await Promise.all([clear.close(), tls.close()])
  })
  return { clear: clear.port, tls: tls.port }
}
