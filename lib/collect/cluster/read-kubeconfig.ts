/** Reads kubeconfigs as kubectl does, limited to the connection to an API server. */
import { dirname, resolve } from 'node:path'
import { load } from 'js-yaml'
import * as z from 'zod'
import { readText } from '../../net/credential-files.ts'
import type { CredentialPlaces } from '../../net/credential-places.ts'
import { SetupError } from '../../net/errors.ts'
import { oneLine } from '../../text/redact.ts'

const text = z.string().nullish()

const clusterSchema = z.object({
  server: z.string(),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': z.boolean().nullish(),
  'tls-server-name': text,
  'proxy-url': text,
})

const execSchema = z.object({
  command: text,
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  apiVersion: text,
})

const userSchema = z.object({
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  token: text,
  tokenFile: text,
  username: text,
  password: text,
  as: text,
  exec: execSchema.nullish(),
  'auth-provider': z.object({ name: text, config: z.record(z.string(), z.unknown()).nullish() }).nullish(),
})

/** Entries of one kind, each with a name and its content. */
function entries<Kind extends string, Content extends z.ZodType>(kind: Kind, content: Content) {
  return z
    .array(z.object({ name: z.string().min(1), [kind]: content } as { name: z.ZodString } & Record<Kind, Content>))
    .nullish()
    .transform((list) => list ?? [])
}

const contextSchema = z.object({ cluster: text, user: text })

const kubeconfigSchema = z.object({
  clusters: entries('cluster', clusterSchema),
  users: entries('user', userSchema.nullish()),
  contexts: entries('context', contextSchema),
  'current-context': text,
})

/** An entry of a kubeconfig and its location: the paths in it are relative to its folder. */
type Entry<Content> = Content & { readonly name: string; readonly folder: string; readonly file: string }

/** A user and its credentials. */
export type KubeUser = Entry<z.infer<typeof userSchema>>
/** A credential plugin. */
export type ExecPlugin = z.infer<typeof execSchema>

/** The parts of a kubeconfig that are read. */
export type Kubeconfig = {
  readonly clusters: readonly Entry<z.infer<typeof clusterSchema>>[]
  readonly users: readonly KubeUser[]
  readonly contexts: readonly Entry<z.infer<typeof contextSchema>>[]
  /** The current context; undefined if it names none. */
  readonly current: string | undefined
}

/** Reads a kubeconfig, which must be in an allowed place if these are given. Throws SetupError with the reason if it cannot be read. */
export async function readKubeconfig(file: string, places: CredentialPlaces | undefined): Promise<Kubeconfig> {
  const content = await readText(file, 'the kubeconfig', places)
  try {
    const place = { folder: dirname(resolve(file)), file }
    const { clusters, users, contexts, ...rest } = parsed(load(content))
    return {
      clusters: clusters.map(({ name, cluster }) => ({ ...cluster, name, ...place })),
      users: users.map(({ name, user }) => ({ ...user, name, ...place })),
      contexts: contexts.map(({ name, context }) => ({ ...context, name, ...place })),
      current: rest['current-context'] || undefined,
    }
  } catch (error) {
    // YAML errors continue with an excerpt of the file, which may hold credentials.
    throw new SetupError(`the kubeconfig "${oneLine(file)}" cannot be read: ${firstLine(error)}`)
  }
}

function parsed(content: unknown): z.infer<typeof kubeconfigSchema> {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw new Error('it is no YAML object')
  const { data, error } = kubeconfigSchema.safeParse(content)
  const [issue] = error?.issues ?? []
  if (data === undefined) throw new Error(`${issue?.path.join('.')}: ${issue?.message}`)
  return data
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return oneLine(message.trim().split('\n')[0] ?? '')
}
