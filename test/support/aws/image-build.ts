import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../../..')

/** One instruction of a Dockerfile. */
export type Instruction = { readonly name: string; readonly text: string }

/** The instructions of each stage, in order. Only what our own Dockerfile uses: no line goes on in the next. */
function stagesOf(dockerfile: string): Instruction[][] {
  const stages: Instruction[][] = []
  for (const line of dockerfile.split('\n')) {
    const [, name, text] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    if (name === undefined || text === undefined) continue
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, text })
  }
  return stages
}

/** The words of `["a", "b"]`. */
export function execForm(text: string): string[] {
  const [, array = 'null'] = /(\[.*\])$/.exec(text) ?? []
  return JSON.parse(array) as string[]
}

/** An image as it was built: what lies over the base, and what it is started with. */
export type BuiltImage = {
  /** The folder with what the instructions wrote. */
  readonly written: string
  readonly last: (name: string) => string
  readonly environment: Readonly<Record<string, string>>
  readonly workdir: string
}

/**
 * Builds an image from a Dockerfile, in a folder, with this machine's own root in place of the base image, and with the Node of this test in it: each
 * `RUN` sees the base and what was written over it, and no other part of the disk changes. Needs to be root. Throws where a step fails.
 */
export function buildImage(folder: string): BuiltImage {
  const stages = stagesOf(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  const built = new Map<string, string>()
  let image: BuiltImage | undefined
  for (const [index, instructions] of stages.entries()) {
    const written = layer(join(folder, `stage-${index}`))
    const environment: Record<string, string> = {}
    let workdir = '/'
    for (const { name, text } of instructions) {
      if (name === 'FROM') built.set(/ AS (\S+)$/.exec(text)?.[1] ?? `${index}`, written)
      if (name === 'ENV')
        for (const pair of text.split(' ')) environment[pair.split('=')[0] ?? ''] = pair.split('=')[1] ?? ''
      if (name === 'WORKDIR') {
        workdir = text
        mkdirSync(join(written, workdir), { recursive: true })
      }
      if (name === 'COPY') copy(text, join(written, workdir), built)
      if (name === 'RUN') {
        const ran = inLayer(written, `cd '${workdir}' && ${text}`, { env: { ...process.env, ...environment } })
        if (ran.status !== 0) throw new Error(`Cannot build the image: "${text}" failed: ${ran.stdout}${ran.stderr}`)
      }
    }
    const last = (name: string) => instructions.findLast((one) => one.name === name)?.text ?? ''
    image = { written, last, environment, workdir }
  }
  if (image === undefined) throw new Error('Cannot build the image: the Dockerfile has no stage')
  return image
}

function layer(folder: string): string {
  const written = join(folder, 'written')
  mkdirSync(join(written, 'usr/local/bin'), { recursive: true })
  copyFileSync(process.execPath, join(written, 'usr/local/bin/node'))
  return written
}

function copy(text: string, workdir: string, built: ReadonlyMap<string, string>): void {
  const [, stage, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? []
  const words = paths.split(' ')
  const to = words.pop() ?? ''
  const base = stage === undefined ? ROOT : built.get(stage)
  if (base === undefined) throw new Error(`Cannot build the image: there is no stage "${stage}"`)
  const ignored = stage === undefined ? notSent() : () => false
  for (const from of words) {
    if (ignored(from)) throw new Error(`Cannot build the image: .dockerignore keeps "${from}" from the builder`)
    const target = to.endsWith('/') ? join(workdir, to, from) : join(workdir, to)
    cpSync(join(base, from), target, { recursive: true, verbatimSymlinks: true })
  }
}

/** Whether .dockerignore, which refuses all but what it names, refuses a path. */
function notSent(): (path: string) => boolean {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const sent = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  if (!lines.includes('*')) throw new Error('Cannot tell what .dockerignore sends: it does not begin with nothing')
  return (path) => !sent.includes(path)
}

export type LayerOptions = {
  readonly env: NodeJS.ProcessEnv
  /** `1000:1000`; default root. */
  readonly user?: string
  /** Nothing can be written but what is mounted. */
  readonly isReadOnly?: boolean
  /** Folders of this machine by their place in the container. */
  readonly mounts?: Readonly<Record<string, string>>
}

/** Runs a shell line in what was written over this machine's root, in namespaces of its own: without a network where it is read-only. */
export function inLayer(
  written: string,
  line: string,
  { env, user = '0:0', isReadOnly = false, mounts = {} }: LayerOptions,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const [work, merged] = [`${written}.work`, `${written}.merged`]
  for (const folder of [work, merged]) mkdirSync(folder, { recursive: true })
  for (const place of Object.keys(mounts))
    if (!existsSync(join(written, place))) mkdirSync(join(written, place), { recursive: true })
  const script = [
    'set -eu',
    `mount -t overlay overlay -o 'lowerdir=/,upperdir=${written},workdir=${work}' '${merged}'`,
    `mount --bind /dev '${merged}/dev'`,
    `mount -t proc proc '${merged}/proc'`,
    ...Object.entries(mounts).map(([place, folder]) => `mount --bind '${folder}' '${merged}${place}'`),
    ...(isReadOnly ? [`mount -o remount,ro '${merged}'`, 'ip link set lo up'] : []),
    `exec chroot --userspec=${user} '${merged}' /bin/sh -c "$LINE"`,
  ].join('\n')
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', ...(isReadOnly ? ['--net'] : [])]
  const { status, stdout, stderr } = spawnSync('unshare', [...namespaces, 'sh', '-c', script], {
    env: { ...env, PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LINE: line },
    encoding: 'utf8',
    timeout: 300_000,
  })
  return { status, stdout, stderr }
}
