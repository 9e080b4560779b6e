import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kubeconfigText } from '../../../demo/replay-kubernetes.ts'
import { askServer } from './ask.ts'
import type { Answered } from './ask.ts'
import { makeGroups, processesIn, processesOf, removeGroups } from './groups.ts'
import { packImage } from './image.ts'
import type { Image } from './image.ts'
import { makeClusterAuthority, makeTokenKeys, signToken } from './keys.ts'
import type { ClusterAuthority, TokenKeys, TokenOf } from './keys.ts'
import type { Programs } from './programs.ts'

/** A Kubernetes node: etcd, kube-apiserver, containerd and kubelet, apart from everything else on this machine. */
export type Node = {
  readonly url: string
  /** A folder that goes with the node. */
  readonly folder: string
  /** What an API of this process needs to stand behind the API server: an address that this reaches, and who signs its certificate. PEM. */
  readonly aggregation: { readonly address: string; readonly clientAuthority: string }
  /** Asks the API server as an administrator. */
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Answered>
  /** Asks it with a token. */
  readonly askAs: (token: string, method: string, path: string, body?: unknown) => Promise<Answered>
  /** A kubeconfig for a token. */
  readonly kubeconfigOf: (token: string) => string
  /** A token of a ServiceAccount, of any length of life. */
  readonly tokenOf: (account: TokenOf, lifeSeconds: number) => string
  /** Kills the API server, and holds it until `release`; what it knew stays. */
  readonly killApiServer: () => void
  readonly release: () => Promise<void>
  /** Kills the processes of a program in the node's pods, as if they had crashed. */
  readonly killProcess: (program: string) => void
  /** The last lines of each part's log, for a message. */
  readonly logs: () => string
  readonly stop: () => Promise<void>
}

/** The network that a process is in. */
const networkOf = (id: string): string => readlinkSync(`/proc/${id}/ns/net`)

const PREFIX = 'ciphertrail-node-'

const READY_WITHIN_MS = 300_000

/** Names of Debian's programs and files that a node needs, with their packages. */
const NEEDED = [
  ['containerd', 'containerd'],
  ['runc', 'runc'],
  ['ip', 'iproute2'],
  ['unshare', 'util-linux'],
  ['setpriv', 'util-linux'],
] as const

export type NodeOptions = {
  readonly programs: Programs
  /** Which node of this machine: 1 to 60. */
  readonly number: number
  readonly images: readonly Image[]
}

/** Starts a node and returns when it is ready for pods. It needs root. Throws with the last words of what did not start. */
export async function startNode({ programs, number, images }: NodeOptions): Promise<Node> {
  if (process.getuid?.() !== 0) throw new Error('Cannot start a Kubernetes node: its network and mounts need root')
  for (const [program, debian] of NEEDED)
    if (!['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((folder) => existsSync(join(folder, program))))
      throw new Error(`Cannot start a Kubernetes node: "${program}" is not installed (apt-get install ${debian})`)
  if (!existsSync('/usr/lib/cni/ptp'))
    throw new Error('Cannot start a Kubernetes node: apt-get install containernetworking-plugins')

  await cleanAfterOthers()
  const work = mkdtempSync(join(tmpdir(), PREFIX))
  writeFileSync(join(work, 'owner'), String(process.pid))
  const group = work.slice(work.lastIndexOf('/') + 1) // of its control groups
  const [outside, inside] = [`198.18.${number}.1`, `198.18.${number}.2`] as const // of RFC 2544, which leads nowhere
  const cable = `ciphertrail${number}`
  const authority = await makeClusterAuthority()
  const front = await makeClusterAuthority()
  const tokens = makeTokenKeys()
  const admin = await authority.issue('admin', 'system:masters')
  const url = `https://${inside}:6443`

  await writeKeys(join(work, 'keys'), { authority, front, tokens }, inside)
  const node = await authority.issue('system:node:node', 'system:nodes', [inside])
  writeConfigurations(work, { address: inside, group, number })
  writeFileSync(
    join(work, 'kubelet.kubeconfig'),
    kubeconfigText(url, authority.ca, {
      'client-certificate-data': Buffer.from(node.cert).toString('base64'),
      'client-key-data': Buffer.from(node.key).toString('base64'),
    }),
  )
  writeFileSync(join(work, 'keys/kubelet.pem'), node.cert)
  writeFileSync(join(work, 'keys/kubelet.key'), node.key)
  makeGroups(group)

  const words: string[] = []
  const child: ChildProcess = spawn(
    'setpriv',
    [
      ...'--pdeathsig KILL'.split(' '), // it ends with this process, however that ends
      ...'unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc'.split(' '),
      'sh',
      join(import.meta.dirname, 'node.sh'),
      work,
      inside,
      join(programs.etcd, '..'),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  child.stderr?.on('data', (chunk: Buffer) => words.push(chunk.toString()))
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    await clean(work, group)
  }
  const ask = (method: string, path: string, body?: unknown): Promise<Answered> =>
    askServer({ host: inside, ca: authority.ca, ...admin }, {}, method, path, body)
  const logs = (): string =>
    ['etcd', 'kube-apiserver', 'containerd', 'kubelet']
      .map((name) => `${name}: ${lastLines(join(work, `${name}.log`))}`)
      .concat(words.join('').trim())
      .join('\n')
  /** Waits for something, as long as the node lives. */
  const until = async (what: string, happened: () => Promise<boolean> | boolean): Promise<void> => {
    const deadline = Date.now() + READY_WITHIN_MS
    while (!(await happened())) {
      const isOver = child.exitCode !== null || child.signalCode !== null
      if (isOver || Date.now() > deadline)
        throw new Error(
          `Cannot use a Kubernetes node: ${isOver ? 'it ended' : `${what} did not come in time`}\n${logs()}`,
        )
      await sleep(50)
    }
  }
  const isReady = async (): Promise<boolean> => (await ask('GET', '/readyz').catch(() => undefined))?.status === 200

  try {
    // Before the process has a network of its own, the cable would be plugged into this machine's.
    await until('a network', () => networkOf(String(child.pid)) !== networkOf('self'))
    execFileSync('ip', ['link', 'add', cable, 'type', 'veth', 'peer', 'name', 'node', 'netns', String(child.pid)])
    execFileSync('ip', ['address', 'add', `${outside}/30`, 'dev', cable])
    execFileSync('ip', ['link', 'set', cable, 'up'])
    await until('containerd', () => existsSync(join(work, 'containerd.sock')))
    for (const image of images) {
      packImage(image, join(work, 'image.tar'))
      await until('an image', () => importImage(work, image.name))
      rmSync(join(work, 'image.tar'))
    }
    writeFileSync(join(work, 'images-are-in'), '')
    await until('the API server', isReady)
    await until('the node', async () => {
      const { body } = await ask('GET', '/api/v1/nodes/node')
      const { conditions = [] } =
        (body as { status?: { conditions?: { type: string; status: string }[] } }).status ?? {}
      return conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
    })
  } catch (error) {
    await stop()
    throw error
  }

  return {
    url,
    folder: work,
    aggregation: { address: outside, clientAuthority: front.ca },
    ask,
    askAs: (token, method, path, body) =>
      askServer({ host: inside, ca: authority.ca }, { authorization: `Bearer ${token}` }, method, path, body),
    kubeconfigOf: (token) => kubeconfigText(url, authority.ca, { token }),
    tokenOf: (account, lifeSeconds) => signToken(account, tokens, lifeSeconds),
    killApiServer: () => {
      writeFileSync(join(work, 'hold'), '')
      for (const id of processesOf('kube-apiserver', work)) process.kill(id, 'SIGKILL')
    },
    release: async () => {
      rmSync(join(work, 'hold'), { force: true })
      await until('the API server', isReady)
    },
    killProcess: (program) => {
      for (const id of processesIn(group, program)) process.kill(id, 'SIGKILL')
    },
    logs,
    stop,
  }
}

async function writeKeys(
  folder: string,
  {
    authority,
    front,
    tokens,
  }: {
    readonly authority: ClusterAuthority
    /** Of the API server's own requests to aggregated APIs. */
    readonly front: ClusterAuthority
    readonly tokens: TokenKeys
  },
  address: string,
): Promise<void> {
  mkdirSync(folder)
  const server = await authority.issue('kube-apiserver', undefined, [address, '10.96.0.1'])
  const api = await authority.issue('kube-apiserver-kubelet-client', 'system:masters')
  const proxy = await front.issue('front')
  for (const [name, content] of Object.entries({
    'front-ca.pem': front.ca,
    'front.pem': proxy.cert,
    'front.key': proxy.key,
    'ca.pem': authority.ca,
    'server.pem': server.cert,
    'server.key': server.key,
    'api.pem': api.cert,
    'api.key': api.key,
    'tokens.pub': tokens.publicKey,
    'tokens.key': tokens.privateKey,
  }))
    writeFileSync(join(folder, name), content, { mode: 0o600 })
}

function writeConfigurations(
  work: string,
  { address, group, number }: { readonly address: string; readonly group: string; readonly number: number },
): void {
  mkdirSync(join(work, 'cni'))
  const network = {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: { type: 'host-local', dataDir: join(work, 'addresses'), ranges: [[{ subnet: `198.19.${number}.0/24` }]] },
      },
    ],
  }
  writeFileSync(join(work, 'cni/10-pods.conflist'), JSON.stringify(network))
  writeFileSync(
    join(work, 'containerd.toml'),
    `version = 2
root = "${work}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${work}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:test"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${work}/cni"
`,
  )
  const kubelet = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${group}`,
    containerRuntimeEndpoint: `unix://${work}/containerd.sock`,
    address,
    healthzBindAddress: '127.0.0.1',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(work, 'keys/ca.pem') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(work, 'keys/kubelet.pem'),
    tlsPrivateKeyFile: join(work, 'keys/kubelet.key'),
    resolvConf: '',
    oomScoreAdj: 0,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
    },
    syncFrequency: '2s',
  }
  writeFileSync(join(work, 'kubelet.yaml'), JSON.stringify(kubelet))
}

function importImage(work: string, name: string): boolean {
  const ctr = ['-a', join(work, 'containerd.sock'), '-n', 'k8s.io']
  try {
    execFileSync('ctr', [...ctr, 'images', 'import', join(work, 'image.tar')], { stdio: 'pipe' })
    execFileSync('ctr', [...ctr, 'images', 'label', name, 'io.cri-containerd.image=managed'], { stdio: 'pipe' })
    return true
  } catch {
    return false // not listening yet
  }
}

/** Removes all that a node that ended leaves: its files and its control groups. Its network went with it. */
async function clean(work: string, group: string): Promise<void> {
  for (let round = 1; ; round++) {
    try {
      removeGroups(group)
      rmSync(work, { recursive: true, force: true })
      return
    } catch (error) {
      if (round === 50) throw error // its last processes take a moment to go
      await sleep(100)
    }
  }
}

/** Removes what nodes left whose process was killed. */
async function cleanAfterOthers(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const owner = join(tmpdir(), name, 'owner')
    if (name.startsWith(PREFIX) && existsSync(owner) && !existsSync(`/proc/${readFileSync(owner, 'utf8')}`))
      await clean(join(tmpdir(), name), name)
  }
}

function lastLines(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').slice(-4).join('\n  ') : '-'
}
