import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { TapAnswer } from '../../support/servers/tap-server.ts'
import { makeClusterAuthority } from './keys.ts'
import type { World } from './world.ts'

/** A request for events as it comes out of the API server. */
export type AggregatedAsked = {
  readonly path: string
  readonly body: Buffer
  /** Whom the API server took the asker for. */
  readonly user: string | undefined
  /** Settles when whoever asked has gone. */
  readonly gone: Promise<unknown>
}

/** A tap API behind a real API server, as Linkerd's viz extension has one. */
export type AggregatedTap = {
  readonly asked: AggregatedAsked[]
  /** How requests for events are answered from now on. */
  readonly answer: (how: TapAnswer) => void
  /** Ends it as a crash does: connections are cut, and nobody listens any more. */
  readonly kill: () => Promise<void>
}

const GROUP = 'tap.linkerd.io'
const API = `/apis/${GROUP}/v1alpha1`
const NAMESPACE = 'linkerd-viz'
const PRESENT = JSON.stringify({
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: `${GROUP}/v1alpha1`,
  resources: [],
})

/**
 * Starts a server of this process and makes the API server of a world pass the tap API's requests on to it: an APIService, its Service without
 * selector, and an EndpointSlice. Returns when the API server takes it for available. Only the API server gets in, by its certificate.
 */
export async function startAggregatedTap(world: World): Promise<AggregatedTap> {
  const { address, clientAuthority } = world.aggregation
  const authority = await makeClusterAuthority()
  const asked: AggregatedAsked[] = []
  const sockets = new Set<Socket>()
  let how: TapAnswer = (response) => response.writeHead(404).end()
  const pair = await authority.issue('tap', undefined, [`tap.${NAMESPACE}.svc`])
  const server = createServer({ ...pair, ca: clientAuthority, requestCert: true, rejectUnauthorized: true })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (request: IncomingMessage, response) => {
    void buffer(request).then((body) => {
      const path = request.url ?? ''
      if (request.method === 'POST') {
        asked.push({ path, body, user: request.headers['x-remote-user']?.toString(), gone: once(response, 'close') })
        how(response, request)
      } else response.writeHead(200, { 'content-type': 'application/json' }).end(PRESENT)
    })
  })
  server.listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const kill = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  try {
    const metadata = { name: 'tap', namespace: NAMESPACE }
    await world.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { ports: [{ name: 'apiserver', port: 443, targetPort: port }] },
    })
    await world.apply({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'tap' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: 'apiserver', port, protocol: 'TCP' }],
    })
    await world.apply({
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `v1alpha1.${GROUP}` },
      spec: {
        group: GROUP,
        version: 'v1alpha1',
        groupPriorityMinimum: 1000,
        versionPriority: 100,
        service: { ...metadata, port: 443 },
        caBundle: Buffer.from(authority.ca).toString('base64'),
      },
    })
    await untilAvailable(world)
  } catch (error) {
    await kill()
    throw error
  }
  return {
    asked,
    answer: (next) => {
      how = next
    },
    kill,
  }
}

const serviceSchema = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string() })) }),
})

async function untilAvailable(world: World): Promise<void> {
  const deadline = Date.now() + 180_000
  for (;;) {
    const { body } = await world.ask('GET', `/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.${GROUP}`)
    const { data } = serviceSchema.safeParse(body)
    const available = data?.status.conditions.find(({ type }) => type === 'Available')
    // It serves its answers a moment later than it says so.
    if (available?.status === 'True' && (await world.ask('GET', API)).status === 200) return
    assert.ok(Date.now() < deadline, `the API server does not reach the tap API: ${JSON.stringify(body)}`)
    await sleep(100)
  }
}
