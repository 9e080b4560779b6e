import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import fc from 'fast-check'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { status } from '../../../demo/replay-kubernetes.ts'
import { messageOf, portBytes } from '../../../demo/replay-port-forward.ts'
import type { Relay } from '../../../demo/replay-port-forward.ts'
import { addressCheck, checkedLookup } from '../../../lib/net/refused-addresses.ts'
import { CONNECTIONS } from '../../../lib/net/connections.ts'
import { openForward } from '../../../lib/collect/forward/port-forward.ts'
import { startCuttingProxy } from '../../support/servers/cutting-proxy.ts'
import type { Cut } from '../../support/servers/cutting-proxy.ts'
import { startForwardedPrometheus } from '../../support/servers/forwarded-prometheus.ts'
import { TOKEN } from '../../support/servers/kubernetes-server.ts'
import type { KubernetesServer } from '../../support/servers/kubernetes-server.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'
import { SourceError } from '../../../lib/net/errors.ts'
import { errorText, matchesText } from '../../support/texts/matches-text.ts'

/** An answer that is longer than one message of a port-forward. */
const BODY = JSON.stringify({
  status: 'success',
  data: { resultType: 'vector', result: [] },
  padding: Array.from({ length: 12_000 }, (_, index) => index).join(' '),
})
const SHORT = '{"status":"success","data":{"resultType":"vector","result":[]}}'

const parameters = new URLSearchParams({ query: 'up', time: '1' })
const askUp = (access: ClusterAccess): Promise<string> =>
  access.prometheus.ask('POST', '/api/v1/query', parameters, { what: 'query up of cluster "prod"' })

/** The answer, or the one line that says why there is none. */
async function outcomeOf(access: ClusterAccess): Promise<{ body?: string; line?: string }> {
  try {
    return { body: await askUp(access) }
  } catch (error) {
    assert.ok(error instanceof SourceError, String(error))
    assert.match(error.message, /^Cannot query up of cluster "prod": [^\n]*[^.\n]$/)
    assert.ok(!error.message.includes(TOKEN), 'the token is in the message')
    return { line: error.message }
  }
}

describe('Prometheus by port-forward', () => {
  test('ask() sends many requests over a few port-forwards, and tells who it asked', async (context) => {
    const { open, forwards, prometheus, kubernetes } = await startForwardedPrometheus(context, BODY)
    const access = open()
    assert.deepEqual(access.prometheus.servers(), [])
    for (let i = 0; i < 20; i++) assert.equal(await askUp(access), BODY)
    assert.ok(forwards() < 3, `${forwards()} port-forwards`)
    assert.deepEqual(await Promise.all(Array.from({ length: 50 }, () => askUp(access))), Array(50).fill(BODY))
    assert.ok(forwards() <= CONNECTIONS, `${forwards()} port-forwards`)
    assert.equal(prometheus.asked.length, 70)
    assert.ok(kubernetes.asked.includes('/api/v1/namespaces/linkerd-viz/pods/prometheus-0/portforward?ports=9090'))
    assert.deepEqual(access.prometheus.servers(), ['pod "linkerd-viz/prometheus-0" (uid-prometheus-0)'])
  })

  test('ask() reads answers however they are cut into messages', async (context) => {
    const { open, carry } = await startForwardedPrometheus(context, BODY)
    /** Both channels and the answer in messages as `pieces` cuts them. */
    const inPieces =
      (pieces: (bytes: Buffer) => Buffer[], begin: (socket: WebSocket, send: (bytes: Buffer) => void) => void): Relay =>
      (socket, _, loopbackPort) => {
        const send = (bytes: Buffer): void => {
          for (const piece of pieces(bytes)) socket.send(messageOf(0, piece))
        }
        begin(socket, send)
        const inside = connect({ host: '127.0.0.1', port: loopbackPort })
        inside.on('data', send)
        socket.on('message', (message: Buffer) => inside.write(message.subarray(1)))
        socket.on('close', () => inside.destroy())
      }
    const whole = (bytes: Buffer): Buffer[] => [bytes]
    const relays: Record<string, Relay> = {
      'a byte a message': inPieces(
        (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)),
        (_, send) => send(portBytes(9090)),
      ),
      'no channel for errors': inPieces(whole, (_, send) => send(portBytes(9090))),
      'the port in two messages, and messages without payload': inPieces(whole, (socket) => {
        for (const bytes of ['', '\x82', '', '#', '']) socket.send(messageOf(0, Buffer.from(bytes, 'latin1')))
        socket.send(messageOf(1, Buffer.alloc(0)))
        socket.send(Buffer.alloc(0))
      }),
      'the port together with the answer': (() => {
        let isFirst = true
        return inPieces(
          (bytes) => {
            const begun = isFirst ? Buffer.concat([portBytes(9090), bytes]) : bytes
            isFirst = false
            return [begun]
          },
          () => undefined,
        )
      })(),
      'fragments and pings in between': (socket, _, loopbackPort) => {
        socket.send(Buffer.of(0), { fin: false })
        socket.ping()
        socket.send(portBytes(9090), { fin: true })
        const inside = connect({ host: '127.0.0.1', port: loopbackPort })
        inside.on('data', (bytes: Buffer) => {
          socket.send(Buffer.of(0), { fin: false })
          socket.send(bytes.subarray(0, 9), { fin: false })
          socket.ping()
          socket.send(bytes.subarray(9), { fin: true })
        })
        socket.on('message', (message: Buffer) => inside.write(message.subarray(1)))
        socket.on('close', () => inside.destroy())
      },
    }
    for (const [name, relay] of Object.entries(relays)) {
      carry(relay)
      assert.deepEqual(await outcomeOf(open()), { body: BODY }, name)
    }
  })

  const place = 'the port-forward to pod "prometheus-0" in the namespace "linkerd-viz", port 9090'

  test('ask() ends with one clear line where the API server refuses', async (context) => {
    const { kubernetes, open } = await startForwardedPrometheus(context, SHORT)
    const said = `pods "prometheus-0" is forbidden: User "auditor" (${TOKEN}) cannot get resource "pods/portforward"`
    const cases: [answer: ReplayAnswer, line: RegExp, tries: number][] = [
      [
        status(403, 'Forbidden', said),
        /: 403 Forbidden from the API server, "pods "prometheus-0" is forbidden: User "auditor" \(\[redacted\]\) .*"; grant "get" on "pods\/portforward" in the namespace "linkerd-viz"$/,
        1,
      ],
      [
        status(401, 'Unauthorized', 'Unauthorized'),
        /: 401 Unauthorized .*; the credentials are wrong or expired, renew those in the kubeconfig$/,
        1,
      ],
      [
        status(404, 'NotFound', 'gone'),
        /: 404 Not Found from the API server, "gone"; the pod may have been replaced/,
        3,
      ],
      [
        status(500, 'InternalError', 'error dialing backend'),
        /: 500 .*, "error dialing backend"; the API server or the kubelet is broken/,
        3,
      ],
      [{ status: 503, body: '<h1>no</h1>' }, /: 503 Service Unavailable from the API server; the API server or/, 3],
      [{ status: 502, body: 'x'.repeat(200_000) }, /: 502 Bad Gateway from the API server; the API server or/, 3],
      [{ status: 200, body: '{}' }, /: 200 OK from the API server$/, 1],
      [
        { status: 302, body: '' },
        /: 302 Found from the API server: a redirect is not followed; give the API server's own address in the kubeconfig$/,
        1,
      ],
    ]
    for (const [answer, line, tries] of cases) {
      const before = kubernetes.asked.length
      kubernetes.forward(() => answer)
      assert.match((await outcomeOf(open())).line ?? '', line)
      const forwards = kubernetes.asked.slice(before).filter((url) => url.includes('/portforward')).length
      assert.equal(forwards, tries, line.source)
    }
  })

  const begin = (socket: WebSocket): void => {
    socket.send(messageOf(0, portBytes(9090)))
    socket.send(messageOf(1, portBytes(9090)))
  }
  /** The head of an answer and a part of its body. */
  const part = messageOf(
    0,
    Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n{"st`),
  )
  /** Its end is where the connection ends, so nobody could tell that it was cut. */
  const endless = messageOf(0, Buffer.from(`HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n${SHORT}`))
  const onRequest = (answer: (socket: WebSocket) => void): Relay => {
    return (socket) => {
      begin(socket)
      socket.once('message', () => answer(socket))
    }
  }
  const misbehaviours: Record<string, [relay: Relay, line: string]> = {
    'closes at once': [(socket) => socket.close(), `${place} was closed`],
    'is gone at once': [(socket) => socket.terminate(), `${place} was closed`],
    'begins and closes': [
      (socket) => {
        begin(socket)
        socket.close()
      },
      `${place} was closed`,
    ],
    'closes when it is asked': [onRequest((socket) => socket.close()), `${place} was closed`],
    'is gone in the middle of an answer': [
      onRequest((socket) => socket.send(part, () => socket.terminate())),
      `${place} was closed`,
    ],
    'closes in the middle of an answer': [
      onRequest((socket) => socket.send(part, () => socket.close())),
      `${place} was closed`,
    ],
    'closes after an answer without an end': [
      onRequest((socket) => socket.send(endless, () => socket.close())),
      `${place} was closed`,
    ],
    'cannot connect in the pod': [
      (socket) => {
        begin(socket)
        socket.send(messageOf(1, Buffer.from(`connect to ${TOKEN} refused\n\u001b[31m`)))
      },
      `${place} failed in the cluster: "connect to [redacted] refused [31m"`,
    ],
    'loses the connection in the pod in the middle of an answer': [
      onRequest((socket) => {
        socket.send(part)
        socket.send(messageOf(1, Buffer.from('reset')))
      }),
      `${place} failed in the cluster: "reset"`,
    ],
    'leads to another port': [
      (socket) => socket.send(messageOf(0, portBytes(9091))),
      `${place} is to another port than was asked for`,
    ],
    'knows more channels': [
      (socket) => socket.send(Buffer.of(7, 1, 2)),
      `${place} brought a message on the unknown channel 7`,
    ],
    'sends text': [(socket) => socket.send('hello'), `${place} brought text where bytes were wanted`],
    'sends a message that is too large': [
      (socket) => socket.send(Buffer.alloc(17 * 1024 * 1024)),
      `${place} broke (WS_ERR_UNSUPPORTED_MESSAGE_LENGTH)`,
    ],
    'sends what is no frame': [
      (socket) => {
        const raw = (socket as unknown as { readonly _socket: NodeJS.WritableStream })._socket
        raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
      },
      `${place} broke (WS_ERR_UNEXPECTED_RSV_2_3)`,
    ],
  }
  for (const [name, [relay, line]] of Object.entries(misbehaviours)) {
    test(`ask() tries again, then ends with one clear line, where a port-forward ${name}`, async (context) => {
      const { open, carry, forwards } = await startForwardedPrometheus(context, SHORT)
      carry(relay)
      const access = open()
      assert.deepEqual(await outcomeOf(access), {
        line: `Cannot query up of cluster "prod": ${line}; its pod may be starting, collect again`,
      })
      assert.equal(forwards(), 3)
      carry(undefined)
      assert.deepEqual(await outcomeOf(access), { body: SHORT })
    })
  }

  test('ask() has its answer where a port-forward is closed right behind it', async (context) => {
    const { open, carry } = await startForwardedPrometheus(context, SHORT)
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${SHORT.length}\r\n\r\n`
    const answer = messageOf(0, Buffer.from(`${head}${SHORT}`))
    for (const end of [
      (socket: WebSocket) => socket.close(),
      (socket: WebSocket) => socket.send(messageOf(1, Buffer.from('over'))),
    ]) {
      carry(
        onRequest((socket) => {
          socket.send(answer)
          end(socket)
        }),
      )
      assert.deepEqual(await outcomeOf(open()), { body: SHORT })
    }
  })

  test('ask() ends in time wherever a port-forward falls silent', async (context) => {
    const { open, carry } = await startForwardedPrometheus(context, SHORT)
    const silences: Relay[] = [
      () => undefined,
      begin,
      onRequest((socket) => socket.send(part)),
      onRequest((socket) => {
        socket.send(part)
        const timer = setInterval(() => socket.send(messageOf(0, Buffer.from(' '))), 1)
        socket.on('close', () => clearInterval(timer))
      }),
    ]
    for (const relay of silences) {
      carry(relay)
      const start = performance.now()
      matchesText((await outcomeOf(open({ prometheusDeadlineMs: 300 }))).line)
      // Far more than the 0.3 s, for a machine that is busy, and far less than the deadlines of those who ask for no other.
      assert.ok(performance.now() - start < 10_000, `${performance.now() - start} ms`)
    }
  })

  /** Whether the pod is known by now, so that what is opened from here on is a port-forward. */
  const isFound = ({ asked }: { readonly asked: readonly string[] }): boolean =>
    asked.some((url) => url.includes('/pods?'))

  /** Waits for what comes for sure; where it does not, the test's own time is up. */
  async function until(happened: () => boolean): Promise<void> {
    while (!happened()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  test(
    'close() ends what never opens: a port-forward, and a connection to the API server',
    { timeout: 120_000 },
    async (context) => {
      const { kubeconfig, kubernetes, open } = await startForwardedPrometheus(context, SHORT)
      for (const isCut of [() => true, () => isFound(kubernetes)]) {
        kubernetes.asked.length = 0
        let silent = 0
        const proxy = await startCuttingProxy(Number(new URL(kubernetes.url).port), () => {
          if (!isCut()) return undefined
          silent++
          return { after: 1, how: 'silence' }
        })
        context.after(() => proxy.close())
        kubernetes.writeKubeconfig(kubeconfig, { port: proxy.port })
        const access = open()
        const asked = outcomeOf(access)
        await until(() => silent > 0)
        await access.close()
        assert.ok((await asked).line !== undefined)
        await until(() => proxy.held() === 0)
      }
    },
  )

  test('a peer that is cut at any byte gives the whole answer or none, in time', async (context) => {
    const { kubeconfig, kubernetes, open } = await startForwardedPrometheus(context, SHORT)
    let cut: Cut | undefined
    const proxy = await startCuttingProxy(Number(new URL(kubernetes.url).port), () =>
      isFound(kubernetes) ? cut : undefined,
    )
    context.after(() => proxy.close())
    kubernetes.writeKubeconfig(kubeconfig, { port: proxy.port })
    const run = async (wanted: Cut | undefined): Promise<{ body?: string; line?: string }> => {
      cut = wanted
      kubernetes.asked.length = 0
      const access = open({ prometheusDeadlineMs: wanted?.how === 'silence' ? 200 : 10_000 })
      try {
        return await outcomeOf(access)
      } finally {
        await access.close()
      }
    }
    const before = proxy.carried()
    assert.deepEqual(await run(undefined), { body: SHORT })
    const all = proxy.carried() - before
    const cuts = fc.record({
      after: fc.nat(all),
      how: fc.constantFrom('reset' as const, 'end' as const, 'silence' as const),
    })
    let whole = 0
    await fc.assert(
      fc.asyncProperty(cuts, async (wanted) => {
        const { body, line } = await run(wanted)
        assert.ok(line !== undefined || body === SHORT)
        if (body !== undefined) whole++
      }),
      { numRuns: 150 },
    )
    assert.ok(whole > 0 && whole < 150, `${whole} of 150 were whole`)
    await until(() => proxy.held() === 0)
  })

  /** A port-forward as a stream, which nobody reads yet. */
  const openStream = (kubernetes: KubernetesServer, host = '127.0.0.1', networks?: string): Promise<Duplex> =>
    openForward(
      {
        base: new URL(kubernetes.url.replace('127.0.0.1', host)),
        tls: { ca: kubernetes.ca, rejectUnauthorized: true, lookup: checkedLookup(addressCheck(networks)) },
        headers: { authorization: `Bearer ${TOKEN}` },
        secrets: [TOKEN],
      },
      { namespace: 'linkerd-viz', pod: 'prometheus-0', port: 9090 },
      { timeoutMs: 20_000 },
    )

  test('all that came before a port-forward was closed is read, then it breaks', async (context) => {
    const { kubernetes, carry } = await startForwardedPrometheus(context, SHORT)
    let isClosed = false
    carry((socket) => {
      begin(socket)
      socket.send(messageOf(0, Buffer.from('the last words')))
      socket.close()
      socket.on('close', () => (isClosed = true))
    })
    const stream = await openStream(kubernetes)
    await until(() => isClosed && stream.readableLength > 0)
    let read = ''
    await assert.rejects(
      async () => {
        for await (const chunk of stream as AsyncIterable<Buffer>) read += chunk.toString()
      },
      errorText({ name: 'UnreachableError' }),
    )
    assert.equal(read, 'the last words')
  })

  test('openForward() connects to no address that is refused when its name is resolved', async (context) => {
    const { kubernetes } = await startForwardedPrometheus(context, SHORT)
    ;(await openStream(kubernetes, 'localhost', '127.0.0.0/8 ::1')).destroy()
    await assert.rejects(
      openStream(kubernetes, 'localhost', '10.0.0.0/8'),
      errorText({ name: 'UnreachableError', kind: 'configuration' }),
    )
  })

  test('a reader that waits makes the peer wait: nothing is heaped up here', async (context) => {
    const { kubernetes, carry } = await startForwardedPrometheus(context, SHORT)
    const much = 64 * 1024 * 1024
    const piece = Buffer.alloc(32 * 1024, 'x')
    let unsent = 0
    carry((socket) => {
      begin(socket)
      for (let sent = 0; sent < much; sent += piece.length) socket.send(messageOf(0, piece))
      const timer = setInterval(() => (unsent = socket.bufferedAmount), 5)
      socket.on('close', () => clearInterval(timer))
    })
    const stream = await openStream(kubernetes)
    let before = -1
    // As long as something still moves into the buffers of both kernels.
    while (before !== unsent || unsent === 0) {
      before = unsent
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    assert.ok(unsent > much / 2, `the peer holds only ${unsent} bytes`)
    assert.ok(stream.readableLength < 1024 * 1024, `${stream.readableLength} bytes are held here`)
    let read = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      read += chunk.length
      if (read === much) break
    }
    assert.equal(read, much)
  })

  test('1,000 requests in a row and 50 at once leave no socket and no memory behind, with a peer that closes at every point', async (context) => {
    const { kubeconfig, kubernetes, open } = await startForwardedPrometheus(context, BODY)
    let connection = 0
    // Each connection is cut elsewhere, between its first byte and the end of its fourth answer.
    const proxy = await startCuttingProxy(Number(new URL(kubernetes.url).port), () => {
      const number = connection++
      return { after: (number * 7_919) % 250_000, how: number % 2 === 0 ? 'reset' : 'end' }
    })
    context.after(() => proxy.close())
    kubernetes.writeKubeconfig(kubeconfig, { port: proxy.port })
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const heap = (): number => {
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    const access = open({ prometheusDeadlineMs: 10_000 })
    let answered = 0
    let longest = 0
    const ask = async (): Promise<void> => {
      const start = performance.now()
      const { body, line } = await outcomeOf(access)
      longest = Math.max(longest, performance.now() - start)
      assert.ok(line !== undefined || body === BODY, 'an answer is not what was sent')
      if (body !== undefined) answered++
    }
    for (let i = 0; i < 200; i++) await ask()
    kubernetes.asked.length = 0
    const early = heap()
    for (let i = 200; i < 1_000; i++) await ask()
    await Promise.all(Array.from({ length: 50 }, ask))
    assert.ok(proxy.held() <= 2 * CONNECTIONS, `${proxy.held()} connections are held`)
    kubernetes.asked.length = 0
    const grown = heap() - early
    assert.ok(grown < 6_000_000, `the heap grew by ${grown} bytes`)
    await access.close()
    await until(() => proxy.held() === 0)
    assert.ok(answered > 900, `${answered} of 1,050 were answered`)
    assert.ok(longest < 20_000, `one took ${longest} ms`)
    context.diagnostic(
      `${proxy.opened()} connections, the longest request ${Math.round(longest)} ms, heap ${grown} bytes`,
    )
  })
})
