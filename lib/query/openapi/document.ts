/** The OpenAPI document of the API, made from the schemas that check its requests and those that its answers are held to. */
import * as z from 'zod'
import type { Field } from '../fields.ts'
import { QUERIES } from '../parameters.ts'
import { type ProblemKind, statusOf } from '../problem.ts'
import examples from './examples.json' with { type: 'json' }
import { OPERATIONS, type Operation, answerSchema } from './operations.ts'
import { problem } from './schemas.ts'

type Json = { readonly [name: string]: unknown }

const NAMES: Readonly<Record<string, string>> = {
  id: 'Id of a cluster, or of a report.',
  name: 'Name of a document.',
  window: 'A window as keys have it: 20261124T120000Z-20261124T120500Z.',
  cluster: 'Id of a cluster.',
  file: 'Name of an attempt: 0001.json.gz.',
}

/** What may go wrong at every place but `/health`. */
const EVERYWHERE: readonly ProblemKind[] = [
  'bad-parameter',
  'not-authenticated',
  'not-allowed',
  'not-acceptable',
  'failed',
]

const TAGS = {
  history: 'Clusters, paths and what changed.',
  proof: 'Evidence, and the log that it is sealed in.',
  reports: 'Documents of periods.',
  service: 'The service itself.',
}

/**
 * Makes the document (OpenAPI 3.1).
 *
 * @param version of ciphertrail
 */
export function openApiDocument(version: string): Json {
  const schemas: Record<string, unknown> = {}
  const paths = Object.fromEntries(
    Object.entries(OPERATIONS).map(([path, operation]) => [
      path.replaceAll(/:([a-z]+)/g, '{$1}'),
      {
        get: operationOf(path, operation, schemas),
        ...(operation.post === undefined ? {} : { post: orderOf(path, operation, operation.post, schemas) }),
      },
    ]),
  )
  return {
    openapi: '3.1.1',
    info: {
      title: 'ciphertrail',
      version,
      summary: 'Which service-to-service paths were encrypted, which were not, and what was not seen.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'Where this document is.' }],
    security: [{ bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { ...schemas, Problem: schemaOf(problem, schemas) },
      responses: Object.fromEntries(
        Object.entries(RESPONSES).map(([name, description]) => [
          name,
          {
            description,
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
    },
  }
}

const RESPONSES: Readonly<Record<ProblemKind, string>> = {
  'bad-parameter': 'A parameter is unknown, repeated or unusable.',
  'not-authenticated': 'No token, or an unknown one.',
  'not-allowed': 'The token opens no cluster.',
  'not-found': 'It does not exist, or the token gives no access to it.',
  'method-not-allowed': 'Only GET and HEAD are possible.',
  'not-acceptable': 'The answer has none of the wanted forms.',
  'history-changed': 'What was listed before the cursor changed: begin again without it.',
  'not-ready': 'What was asked for is not made yet, or cannot be made: `detail` says which, and what to do.',
  failed: 'The service failed; its log says why.',
  unreadable: 'The store cannot be read, or its content was changed.',
}

/** An operation that takes an order, without a body. */
function orderOf(
  path: string,
  { tag }: Operation,
  { id, summary, description, accepted, problems = [] }: NonNullable<Operation['post']>,
  schemas: Record<string, unknown>,
): Json {
  const schema = answerSchema(id)
  const content = schema === undefined ? {} : { 'application/json': { schema: schemaOf(schema, schemas) } }
  const kinds = EVERYWHERE.filter((kind) => kind !== 'not-acceptable')
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: namesOf(path),
    responses: {
      200: { description: 'The answer.', content },
      202: {
        description: accepted,
        headers: {
          Location: { description: 'Where to look.', schema: { type: 'string' } },
          'Retry-After': { description: 'In seconds.', schema: { type: 'integer' } },
        },
        content,
      },
      ...Object.fromEntries(
        [...kinds, ...problems].map((kind) => [statusOf(kind), { $ref: `#/components/responses/${kind}` }]),
      ),
    },
  }
}

/** What stands at the free places of a path. */
function namesOf(path: string, example?: Operation['example']): readonly Json[] {
  return [...path.matchAll(/:([a-z]+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    description: NAMES[name],
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]+$' },
    ...(example?.names?.[name] === undefined ? {} : { example: example.names[name] }),
  }))
}

function operationOf(path: string, operation: Operation, schemas: Record<string, unknown>): Json {
  const { id, tag, summary, description, query, others = {}, problems = [], example } = operation
  const isOpen = tag === 'service'
  const schema = answerSchema(id)
  const shown = Object.hasOwn(examples, id) ? examples[id as keyof typeof examples] : undefined
  const json =
    schema === undefined
      ? {}
      : {
          'application/json': { schema: schemaOf(schema, schemas), ...(shown === undefined ? {} : { example: shown }) },
        }
  const forms = Object.fromEntries(
    Object.entries(others).map(([type, holds]) => [type, { schema: { type: 'string', description: holds } }]),
  )
  const isList = query !== undefined && 'limit' in QUERIES[query]
  const kinds = isOpen ? [] : [...EVERYWHERE, ...problems]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(isOpen ? { security: [] } : {}),
    parameters: [
      ...namesOf(path, example),
      ...Object.entries<Field>(query === undefined ? {} : QUERIES[query]).map(([name, field]) =>
        parameterOf(name, field, example?.query?.[name]),
      ),
    ],
    responses: {
      200: {
        description: 'The answer.',
        headers: {
          ...(isOpen ? {} : { ETag: { description: 'For If-None-Match.', schema: { type: 'string' } } }),
          ...(isList ? { Link: { description: 'rel="next": the next page.', schema: { type: 'string' } } } : {}),
        },
        content: { ...json, ...forms },
      },
      ...(isOpen
        ? {
            405: { $ref: '#/components/responses/method-not-allowed' },
            503: { description: 'The service does not do its work.', content: json },
          }
        : { 304: { description: 'The answer is the one that If-None-Match names.' } }),
      ...(Object.keys(others).length > 0 && !isOpen
        ? { 303: { description: 'A large document is at another address, for a minute.' } }
        : {}),
      ...Object.fromEntries(kinds.map((kind) => [statusOf(kind), { $ref: `#/components/responses/${kind}` }])),
    },
  }
}

function parameterOf(name: string, field: Field, example: string | undefined): Json {
  const { json, schema, about, isRepeated = false, isRequired = false } = field
  const shown = example ?? field.example
  return {
    name,
    in: 'query',
    required: isRequired,
    description: about,
    schema: json ?? plain(z.toJSONSchema(schema, { io: 'input' })),
    ...(isRepeated ? { style: 'form', explode: true } : {}),
    ...(shown === '' ? {} : { example: typed(shown, field) }),
  }
}

function typed(text: string, { json, isRepeated }: Field): unknown {
  if (isRepeated === true) return [text]
  return json?.['type'] === 'integer' ? Number(text) : text
}

/** A schema as JSON Schema. Those with an id stand among the components, and are named. */
function schemaOf(schema: z.ZodType, schemas: Record<string, unknown>): Json {
  const { $defs = {}, ...own } = z.toJSONSchema(schema, {
    io: 'output',
    reused: 'inline',
    override: ({ jsonSchema }) => {
      delete jsonSchema.id
    },
  })
  for (const [name, definition] of Object.entries($defs)) schemas[name] = pointed(definition)
  return plain(pointed(own) as Json)
}

function plain({ $schema: _, ...schema }: Json): Json {
  return schema
}

/** References of one schema become references of the document. */
function pointed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pointed)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === '$ref' && typeof member === 'string'
        ? member.replace('#/$defs/', '#/components/schemas/')
        : pointed(member),
    ]),
  )
}
