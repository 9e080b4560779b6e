import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The programs of a Kubernetes node that Debian has not, each a file. */
export type Programs = {
  readonly etcd: string
  readonly kubeApiserver: string
  readonly kubelet: string
  /** For images: a static program that waits. */
  readonly pause: string
}

const SOURCES = import.meta.dirname
const VERSION = 'v1.34.4'

/** What `go build` is told to build, with the name of the file that comes of it. */
const BUILDS: readonly [name: string, what: string][] = [
  ['etcd', 'go.etcd.io/etcd/server/v3'],
  ['kube-apiserver', 'k8s.io/kubernetes/cmd/kube-apiserver'],
  ['kubelet', 'k8s.io/kubernetes/cmd/kubelet'],
  ['pause', './cmd/pause'],
]

/**
 * Builds Kubernetes and etcd from Go modules (go.mod and go.sum beside this file say which), or takes what an earlier run built. They are
 * kept in `$XDG_CACHE_HOME/ciphertrail`, else in `~/.cache/ciphertrail`. The first time takes some minutes.
 */
export function buildPrograms(say: (line: string) => void = () => undefined): Programs {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ciphertrail')
  const folder = join(cache, `kubernetes-${keyOf()}`)
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true })
    // Whoever dies in the middle, or builds at the same time, leaves no half of it.
    const work = mkdtempSync(join(cache, 'building-'))
    try {
      for (const [name, what] of BUILDS) {
        say(`building ${name}`)
        build(join(work, name), what)
      }
      renameSync(work, folder)
    } catch (error) {
      if (!existsSync(folder)) throw error
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  return {
    etcd: join(folder, 'etcd'),
    kubeApiserver: join(folder, 'kube-apiserver'),
    kubelet: join(folder, 'kubelet'),
    pause: join(folder, 'pause'),
  }
}

/** A static program for images, built from `cmd/<name>` or kept from an earlier run. Takes seconds. */
export function buildTool(name: string): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ciphertrail')
  const source = readFileSync(join(SOURCES, 'cmd', name, 'main.go'))
  const key = createHash('sha256')
    .update(source)
    .update(execFileSync('go', ['env', 'GOVERSION', 'GOARCH']))
  const file = join(cache, `${name}-${key.digest('hex').slice(0, 16)}`)
  if (existsSync(file)) return file
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'building-'))
  try {
    build(join(work, name), `./cmd/${name}`)
    renameSync(join(work, name), file)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return file
}

/** Changes with whatever the programs are made from. */
function keyOf(): string {
  const hash = createHash('sha256').update(VERSION)
  for (const file of ['go.mod', 'go.sum', 'cmd/pause/main.go']) hash.update(readFileSync(join(SOURCES, file)))
  return hash
    .update(execFileSync('go', ['env', 'GOVERSION', 'GOARCH']))
    .digest('hex')
    .slice(0, 16)
}

function build(file: string, what: string): void {
  const set = [`gitVersion=${VERSION}`, 'gitMajor=1', 'gitMinor=34'].map(
    (value) => `-X k8s.io/component-base/version.${value}`,
  )
  // Others work on this machine, too.
  const { status, stderr } = spawnSync(
    'nice',
    ['-n', '19', 'go', 'build', '-ldflags', `-s -w ${set.join(' ')}`, '-o', file, what],
    {
      cwd: SOURCES,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`Cannot build ${what}: ${stderr.trim().split('\n').at(-1)}`)
}

// Once before the tests, so that two of them do not build the same.
if (import.meta.main) {
  buildPrograms((line) => console.log(`Kubernetes for the tests: ${line}`))
  buildTool('page')
}
