import type { KeptHistories } from '../../history/kept-histories.ts'
import { type ClusterRow, historyCsv } from '../../report/csv/api-paths-csv.ts'
import { pathJson } from '../../text/format-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type ApiAnswer, jsonAnswer } from '../answer.ts'
import { answerCheckpoint } from './checkpoint-route.ts'
import { notKnown } from './cluster-history.ts'
import { answerClusters } from './clusters-route.ts'
import type { Page } from '../page.ts'
import {
  readClustersQuery,
  readCoverageQuery,
  readCryptoQuery,
  readDiffQuery,
  readEdgesQuery,
  readEpisodesQuery,
  readFlowQuery,
  readNoQuery,
  readPageQuery,
  readPathsQuery,
  readWaiversQuery,
  settledBefore,
} from '../parameters.ts'
import { answerCoverage } from './coverage-route.ts'
import { answerDiff, diffJson } from './diff-route.ts'
import { answerCrypto, answerEdges } from './edges-route.ts'
import { answerEpisodes } from './episodes-route.ts'
import { EVIDENCE_TYPE, PROOF_TYPE, answerAttempt, answerEvidence, answerProof } from './evidence-route.ts'
import { answerFlow } from './flow-route.ts'
import { answerWaivers } from './waivers-route.ts'
import { episodeJson } from '../episodes.ts'
import { flowJson } from '../flow.ts'
import { edgeJson } from '../../report/terminal/edge-rows.ts'
import { type PathsAnswer, answerPaths } from './paths-route.ts'
import { answerDocument, answerReport, answerReports, documentType } from './reports-route.ts'

/** What a route is asked. */
type Asked = {
  readonly search: URLSearchParams
  readonly grant: Grant
  /** One of the route's types. */
  readonly type: string
  /** What stands at the free places of the path. */
  readonly names: Names
}

type Names = Readonly<Partial<Record<'id' | 'name' | 'window' | 'cluster' | 'file', string>>>

/** A place of the API. */
export type Route = {
  /** As Hono's router has it. */
  readonly path: string
  /** Media types that it can answer, preferred first. */
  readonly types: (names: Names) => readonly string[]
  readonly answer: (asked: Asked) => Promise<ApiAnswer>
}

const JSON_ONLY = (): readonly string[] => ['application/json']

/** Every place of the API but `/health`: parse, one read, answer. */
export function routesOf({
  objects,
  now,
  histories,
}: {
  readonly objects: Objects
  readonly now: () => Date
  /** Absent: nothing is kept. */
  readonly histories?: KeptHistories
}): readonly Route[] {
  return [
    {
      path: '/v1/clusters',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerClusters(readClustersQuery(search, now()), grant, { objects, now: now(), histories })
        const { items, next, period, removed } = answer
        return { ...jsonAnswer({ period, removed, items, next }), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/paths',
      types: () => ['application/json', 'text/csv'],
      async answer({ search, grant, type }) {
        const answer = await answerPaths(readPathsQuery(search, now()), grant, { objects, now: now(), histories })
        const list = listOf(answer, search)
        if (type === 'text/csv') return { type: csvType(answer), body: pathsCsv(answer), ...list }
        const { period, collected, clusters, items, next } = answer
        return { ...jsonAnswer({ period, collected, clusters, items: items.map(pathJson), next }), ...list }
      },
    },
    {
      path: '/v1/clusters/:id/coverage',
      types: JSON_ONLY,
      async answer({ search, grant, names: { id = '' } }) {
        const deps = { objects, now: now() }
        const answer = await answerCoverage(id, readCoverageQuery(search, now()), grant, deps)
        const { period, cluster, items, next } = answer
        return { ...jsonAnswer({ period, cluster, items, next }), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/clusters/:id/crypto',
      types: JSON_ONLY,
      async answer({ search, grant, names: { id = '' } }) {
        return jsonAnswer(await answerCrypto(id, readCryptoQuery(search), settledBefore(now()), grant, objects))
      },
    },
    {
      path: '/v1/episodes',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerEpisodes(readEpisodesQuery(search, now()), grant, { objects, now: now() })
        const { period, collected, clusters, items, next } = answer
        return {
          ...jsonAnswer({ period, collected, clusters, items: items.map(episodeJson), next }),
          ...listOf(answer, search),
        }
      },
    },
    {
      path: '/v1/diff',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerDiff(await readDiffQuery(search, now()), grant, { objects, now: now() })
        return { ...jsonAnswer(diffJson(answer)), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/flow',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerFlow(readFlowQuery(search, now()), grant, { objects, now: now() })
        const { before, period, collected, clusters, counts, items, next } = answer
        return {
          ...jsonAnswer({ before, period, collected, clusters, counts, items: items.map(flowJson), next }),
          ...listOf(answer, search),
        }
      },
    },
    {
      path: '/v1/edges',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerEdges(readEdgesQuery(search, now()), grant, { objects })
        const { collected, clusters, items, next } = answer
        return { ...jsonAnswer({ collected, clusters, items: items.map(edgeJson), next }), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/waivers',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerWaivers(readWaiversQuery(search, now()), grant, objects)
        const { change, items, next } = answer
        return { ...jsonAnswer({ change, items, next }), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/evidence/:window/:cluster',
      types: JSON_ONLY,
      async answer({ search, grant, names: { window = '', cluster = '' } }) {
        readNoQuery(search)
        return jsonAnswer(await answerEvidence({ window, cluster }, grant, objects))
      },
    },
    {
      path: '/v1/evidence/:window/:cluster/proof',
      types: () => [PROOF_TYPE],
      async answer({ search, grant, names: { window = '', cluster = '' } }) {
        readNoQuery(search)
        return answerProof({ window, cluster }, grant, objects)
      },
    },
    {
      path: '/v1/evidence/:window/:cluster/:file',
      types: () => [EVIDENCE_TYPE],
      async answer({ search, grant, names: { window = '', cluster = '', file } }) {
        readNoQuery(search)
        return answerAttempt({ window, cluster, file }, grant, objects)
      },
    },
    {
      path: '/v1/evidence/:window/:cluster/:file/proof',
      types: () => [PROOF_TYPE],
      async answer({ search, grant, names: { window = '', cluster = '', file } }) {
        readNoQuery(search)
        return answerProof({ window, cluster, file }, grant, objects)
      },
    },
    {
      path: '/v1/checkpoint',
      types: () => ['application/json', 'text/plain'],
      async answer({ search, type }) {
        readNoQuery(search)
        const answer = await answerCheckpoint(objects)
        if (type === 'application/json') return jsonAnswer(answer)
        return { type: 'text/plain; charset=utf-8', body: answer.text }
      },
    },
    {
      path: '/v1/reports',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const page = await answerReports(readPageQuery(search), grant, { objects, now: settledBefore(now()) })
        const { items, next, unreadable } = page
        return { ...jsonAnswer({ unreadable: unreadable.length, items, next }), ...listOf(page, search) }
      },
    },
    {
      path: '/v1/reports/:id',
      types: JSON_ONLY,
      async answer({ search, grant, names: { id = '' } }) {
        readNoQuery(search)
        return jsonAnswer(await answerReport(id, grant, objects))
      },
    },
    {
      path: '/v1/reports/:id/:name',
      // One without a type has no answer either, which is said in whatever form.
      types: ({ name = '' }) => [(documentType(name) ?? '*/*').replace(/;.*/, '')],
      async answer({ search, grant, names: { id = '', name = '' } }) {
        readNoQuery(search)
        return answerDocument(id, name, grant, objects)
      },
    },
  ]
}

/** How many items a page has, and the same question with the cursor of the next one (RFC 8288), relative to where it was asked. */
function listOf({ items, next }: Page<unknown>, search: URLSearchParams): Pick<ApiAnswer, 'items' | 'headers'> {
  if (next === null) return { items: items.length }
  const parameters = new URLSearchParams(search)
  parameters.set('cursor', next)
  return { items: items.length, headers: { link: `<?${parameters.toString()}>; rel="next"` } }
}

/** The parts of a list joined are one file: only the first one has names. */
function csvType({ isFirst }: PathsAnswer): string {
  return `text/csv; charset=utf-8; header=${isFirst ? 'present' : 'absent'}`
}

function pathsCsv({ clusters, items, period, isFirst }: PathsAnswer): string {
  const told = clusters.flatMap((cluster): ClusterRow[] => {
    const reasons = { replay: cluster.replay, 'not-collected': notKnown(cluster, period) }
    return (['replay', 'not-collected'] as const).flatMap((state) => {
      const reason = reasons[state]
      return reason === null ? [] : [{ cluster: cluster.id, ...period, state, reason }]
    })
  })
  return historyCsv(isFirst ? told : [], items, { hasNames: isFirst })
}
