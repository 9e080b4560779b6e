import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unnamed } from '../support/truth/exceptions.ts'
import type { Exception } from '../support/truth/exceptions.ts'
import { judge, parseTruth } from '../support/truth/truth.ts'

const window = { start: '2026-11-24T12:10:00Z', end: '2026-11-24T12:15:00Z' }

/** Clear traffic to UDP port 53 of a workload, which says that it has UDP. */
const judgement = judge(
  parseTruth(
    JSON.stringify({
      ...window,
      window_seconds: 300,
      paths: [
        {
          src: 'deployment/shop/web',
          dst: 'deployment/shop/dns',
          port: 53,
          proto: 'udp',
          case: 'one',
          windows: [{ ...window, plaintext: 1, mtls: 0, app_tls: 0, none: 0, refused: 0, opened: {} }],
        },
      ],
    }),
  ),
  new Map([
    [
      window.end,
      {
        rows: [],
        coverage: [],
        workloads: [
          {
            cluster: 'c',
            kind: 'deployment',
            namespace: 'shop',
            name: 'dns',
            serviceAccount: null,
            meshed: 'yes',
            pods: 1,
            reason: null,
            defaultPolicy: null,
            skipInbound: [],
            skipOutbound: [],
            opaque: [],
            blindSpots: [{ kind: 'udp', port: '53', detail: '' }],
          },
        ],
      },
    ],
  ]),
)

test('unnamed() lets through what an exception names, and nothing else', () => {
  const exception: Exception = { finding: 'blind', path: 'deployment/shop/web -> *:53', reason: 'UDP' }
  assert.deepEqual(unnamed(judgement, [exception]), [])
  assert.deepEqual(unnamed(judgement, []), [
    '12:15 blind: deployment/shop/web -> deployment/shop/dns:53 deployment/shop/dns: udp',
  ])
  for (const change of [
    { finding: 'unknown' },
    { path: 'deployment/shop/web -> *:5' },
    { windows: ['12:20'] },
    { said: 'mtls' },
  ] as const)
    assert.equal(unnamed(judgement, [{ ...exception, ...change }]).length, 2, JSON.stringify(change))
})

test('unnamed() names an exception that is no longer needed', () => {
  const exceptions: Exception[] = [
    { finding: 'blind', path: '*', reason: 'UDP' },
    { finding: 'blind', path: 'deployment/shop/cart -> *', reason: 'an old one' },
  ]
  assert.deepEqual(unnamed(judgement, exceptions), ['not needed, blind: deployment/shop/cart -> *'])
})
