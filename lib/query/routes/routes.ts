import { historyCsv } from '../../report/csv/history-csv.ts'
import { pathJson } from '../../text/format-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type ApiAnswer, jsonAnswer } from '../answer.ts'
import { answerCheckpoint } from './checkpoint-route.ts'
import { notKnown } from './cluster-history.ts'
import { answerClusters } from './clusters-route.ts'
import type { Page } from '../page.ts'
import { readClustersQuery, readNoQuery, readPageQuery, readPathsQuery, settledBefore } from '../parameters.ts'
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

type Names = Readonly<Partial<Record<'id' | 'name', string>>>

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
export function routesOf({ objects, now }: { readonly objects: Objects; readonly now: () => Date }): readonly Route[] {
  return [
    {
      path: '/v1/clusters',
      types: JSON_ONLY,
      async answer({ search, grant }) {
        const answer = await answerClusters(readClustersQuery(search, now()), grant, { objects, now: now() })
        const { items, next, period, removed } = answer
        return { ...jsonAnswer({ period, removed, items, next }), ...listOf(answer, search) }
      },
    },
    {
      path: '/v1/paths',
      types: () => ['application/json', 'text/csv'],
      async answer({ search, grant, type }) {
        const answer = await answerPaths(readPathsQuery(search, now()), grant, { objects, now: now() })
        const list = listOf(answer, search)
        if (type === 'text/csv') return { type: csvType(answer), body: pathsCsv(answer), ...list }
        const { period, collected, clusters, items, next } = answer
        return { ...jsonAnswer({ period, collected, clusters, items: items.map(pathJson), next }), ...list }
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
        const { items, next } = page
        return { ...jsonAnswer({ items, next }), ...listOf(page, search) }
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
  const missing = clusters.flatMap((cluster) => {
    const reason = notKnown(cluster, period)
    return reason === null ? [] : [{ cluster: cluster.id, ...period, reason }]
  })
  return historyCsv(isFirst ? missing : [], items, { hasNames: isFirst })
}
