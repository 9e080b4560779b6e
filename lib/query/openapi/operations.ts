/** The places of the API as OpenAPI has them: what each is for, what it takes and what it answers. A test holds them to the routes. */
import type { QUERIES } from '../parameters.ts'
import type { ProblemKind } from '../problem.ts'
import { PACK_PATH } from '../routes/pack-route.ts'
import { ANSWERS } from './schemas.ts'

/** A place of the API. */
export type Operation = {
  readonly id: string
  readonly tag: 'history' | 'proof' | 'reports' | 'service'
  readonly summary: string
  readonly description?: string
  /** Of `QUERIES`; absent: it takes none. */
  readonly query?: keyof typeof QUERIES
  /** Other media types than JSON, with what they hold. */
  readonly others?: Readonly<Record<string, string>>
  /** What may go wrong beside what may go wrong everywhere. */
  readonly problems?: readonly ProblemKind[]
  /** What POST does there; absent where there is only reading. Its answer is a schema under its id. */
  readonly post?: Pick<Operation, 'id' | 'summary' | 'description' | 'problems'> & { readonly accepted: string }
  /** A question that the examples answer, and what stands in its path. */
  readonly example?: {
    readonly names?: Readonly<Record<string, string>>
    readonly query?: Readonly<Record<string, string>>
  }
}

const PERIOD = { from: '2026-11-24T12:00:00Z', to: '2026-11-24T12:20:00Z' }
const EVIDENCE = { window: '20261124T120000Z-20261124T120500Z', cluster: 'prod' }
const LIST = ['history-changed', 'unreadable'] as const

/** By their paths, as the routes have them. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  '/health': { id: 'getHealth', tag: 'service', summary: 'Whether the service works; needs no token', example: {} },
  '/v1/clusters': {
    id: 'listClusters',
    tag: 'history',
    summary: 'Registered clusters, and what is known of each',
    query: 'page',
    problems: LIST,
    example: { query: { limit: '1' } },
  },
  '/v1/clusters/:id/coverage': {
    id: 'listCoverage',
    tag: 'history',
    summary: 'The windows of a cluster, newest first: what should have been seen, and what was',
    query: 'coverage',
    problems: ['not-found', ...LIST],
    example: { names: { id: 'prod' }, query: { ...PERIOD, limit: '1' } },
  },
  '/v1/clusters/:id/crypto': {
    id: 'getCrypto',
    tag: 'history',
    summary: 'What the running proxies of a cluster state of their cryptography',
    query: 'crypto',
    problems: ['not-found', 'unreadable'],
    example: { names: { id: 'prod' }, query: { at: '2026-11-24T12:03:00Z' } },
  },
  '/v1/paths': {
    id: 'listPaths',
    tag: 'history',
    summary: 'The history of paths, newest first: one row for each interval of equal state',
    description: 'An empty list is good news only if `collected` is `all`, and only for what `coverage` says was seen.',
    query: 'paths',
    others: { 'text/csv': 'One file of all pages joined: only the first has column names.' },
    problems: ['not-found', ...LIST],
    example: { query: { cluster: 'prod', state: 'not-encrypted', ...PERIOD } },
  },
  '/v1/episodes': {
    id: 'listEpisodes',
    tag: 'history',
    summary: 'Every time in which a path was not encrypted, newest first',
    query: 'episodes',
    problems: ['not-found', ...LIST],
    example: { query: { cluster: 'prod', ...PERIOD } },
  },
  '/v1/edges': {
    id: 'listEdges',
    tag: 'history',
    summary: 'The paths of one window',
    query: 'edges',
    problems: ['not-found', ...LIST],
    example: { query: { cluster: 'prod', kind: 'deployment', at: '2026-11-24T12:08:00Z' } },
  },
  '/v1/diff': {
    id: 'diffPeriods',
    tag: 'history',
    summary: 'What changed from one period to a later one, and what stays open',
    description:
      'What happened after the end of the first period, up to the end of the second. What was not collected changes nothing.',
    query: 'diff',
    problems: ['not-found', ...LIST],
    example: {
      query: {
        from: '2026-11-24T12:00:00Z/2026-11-24T12:05:00Z',
        to: '2026-11-24T12:15:00Z/2026-11-24T12:20:00Z',
        cluster: 'prod',
      },
    },
  },
  '/v1/flow': {
    id: 'diffFlow',
    tag: 'history',
    summary: 'How what was seen of paths up to one time differs from what was seen up to an earlier one',
    description:
      'A path is as it was seen last in the seven days up to a time. One that is known and of which nothing was seen is `not-seen`, never `gone`.',
    query: 'flow',
    problems: ['not-found', ...LIST],
    example: { query: { before: '2026-11-24T12:05:00Z', at: '2026-11-24T12:20:00Z', cluster: 'prod' } },
  },
  '/v1/waivers': {
    id: 'listWaivers',
    tag: 'history',
    summary: 'The waivers in the register, and how each stands',
    query: 'waivers',
    problems: LIST,
    example: { query: { at: '2026-11-24T12:20:00Z' } },
  },
  '/v1/evidence/:window/:cluster': {
    id: 'listEvidence',
    tag: 'proof',
    summary: 'The attempts at a window, with key, SHA-256 and size',
    problems: ['not-found', 'unreadable'],
    example: { names: EVIDENCE },
  },
  '/v1/evidence/:window/:cluster/proof': {
    id: 'getLastProof',
    tag: 'proof',
    summary: 'The proof that the log holds the last attempt at a window',
    others: { 'text/plain': 'C2SP tlog-proof.' },
    problems: ['not-found', 'unreadable'],
    example: { names: EVIDENCE },
  },
  '/v1/evidence/:window/:cluster/:file': {
    id: 'getEvidence',
    tag: 'proof',
    summary: 'The bytes of an attempt, as they are stored',
    others: { 'application/gzip': 'Canonical JSON.' },
    problems: ['not-found', 'unreadable'],
    example: { names: { ...EVIDENCE, file: '0001.json.gz' } },
  },
  '/v1/evidence/:window/:cluster/:file/proof': {
    id: 'getProof',
    tag: 'proof',
    summary: 'The proof that the log holds an attempt',
    others: { 'text/plain': 'C2SP tlog-proof.' },
    problems: ['not-found', 'unreadable'],
    example: { names: { ...EVIDENCE, file: '0001.json.gz' } },
  },
  '/v1/checkpoint': {
    id: 'getCheckpoint',
    tag: 'proof',
    summary: 'The signed head of the log',
    others: { 'text/plain': 'The checkpoint as it was signed.' },
    problems: ['not-found', 'unreadable'],
    example: {},
  },
  '/v1/reports': {
    id: 'listReports',
    tag: 'reports',
    summary: 'Reports, latest period first, with their documents and hashes',
    query: 'page',
    problems: LIST,
    example: { query: { limit: '1' } },
  },
  '/v1/reports/:id': {
    id: 'getReport',
    tag: 'reports',
    summary: 'One report',
    problems: ['not-found', 'unreadable'],
  },
  [PACK_PATH]: {
    id: 'getPack',
    tag: 'reports',
    summary: 'The audit pack of a report, once it is made',
    description: 'A pack holds the log of the whole store: it is given only to tokens that open every cluster.',
    others: { 'application/zip': 'The pack, as `ciphertrail pack` writes it.' },
    problems: ['not-found', 'not-ready', 'unreadable'],
    post: {
      id: 'askForPack',
      summary: 'Have the audit pack of a report made',
      description:
        'Takes no body. A pack is made once: to ask again changes nothing while it is made or there. `pack` of the report says when it is there.',
      accepted: 'It is being made: look at the report, which `Location` names, after `Retry-After` seconds.',
      problems: ['not-found', 'not-ready', 'unreadable'],
    },
  },
  '/v1/reports/:id/:name': {
    id: 'getDocument',
    tag: 'reports',
    summary: 'A document of a report: html, pdf, oscal, ocsf, or a name such as paths.csv',
    others: {
      'text/html': 'report.html',
      'application/pdf': 'report.pdf, PDF/A-3a',
      'text/csv': 'A table of the report.',
      'application/json': 'The summary, OSCAL assessment results or OCSF findings.',
    },
    problems: ['not-found', 'unreadable'],
  },
}

/** The schema of what a place answers as JSON; undefined where it answers none. */
export function answerSchema(id: string): (typeof ANSWERS)[keyof typeof ANSWERS] | undefined {
  return Object.hasOwn(ANSWERS, id) ? ANSWERS[id as keyof typeof ANSWERS] : undefined
}
