/** A registered cluster, and the way to it. */
import type { WindowSetting } from './time.ts'

/** How a Prometheus is shown who asks: by files, read for each request, or by the keys of AWS that the environment has. A token, a user with a password, or AWS. */
export type PrometheusAuth = {
  readonly tokenFile?: string
  readonly user?: string
  readonly passwordFile?: string
  /** A client certificate with its key, PEM. */
  readonly certFile?: string
  readonly keyFile?: string
  /** Authorities to trust, PEM. Absent: those that Node trusts. */
  readonly caFile?: string
  /** Amazon Managed Prometheus: the region that requests are signed for (SigV4). */
  readonly sigv4Region?: string
  /** ARN of a role to assume first. */
  readonly sigv4RoleArn?: string
}

/** A cluster of Amazon EKS, by its name there. AWS credentials of the environment authenticate. */
export type EksCluster = {
  readonly name: string
  readonly region: string
  /** ARN of a role to assume first. */
  readonly roleArn?: string
}

/** An API server by its address. Holds whom to trust and where the token is, never the token. */
export type ApiServerAddress = {
  /** `https://`, with its path prefix if it has one. */
  readonly url: string
  /** The certificates of the authorities to trust, PEM. */
  readonly ca: string
  /** The file with the token: this or the next. */
  readonly tokenFile?: string
  /** Name or ARN of the secret of AWS Secrets Manager that holds the token. */
  readonly tokenSecret?: string
}

/** The proxies that are read by pod name: those that Prometheus does not show or may show falsely, or all. */
export type ProxiesSetting = 'auto' | 'all'

/** A registered cluster. Holds ways in, never credentials. */
export type Cluster = {
  /** `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?` */
  readonly id: string
  readonly registeredAt: string
  /** Absent: the in-cluster ServiceAccount, or else the default kubeconfig. */
  readonly kubeconfig?: string
  readonly context?: string
  /** Instead of a kubeconfig. */
  readonly eks?: EksCluster
  /** Instead of a kubeconfig. */
  readonly apiServer?: ApiServerAddress
  /** Instead of a kubeconfig: it is collected from inside, by `ciphertrail agent`, and nobody else reaches it. */
  readonly agent?: true
  /** Absent: by port-forward through the API server. */
  readonly prometheusUrl?: string
  /** Only with `prometheusUrl`. */
  readonly prometheusAuth?: PrometheusAuth
  /** Seconds for which workloads are tapped in each collection. Absent: they are not. */
  readonly tapSeconds?: number
  /** There is no Prometheus: the proxies are all that is asked. */
  readonly noPrometheus?: true
  /** Absent: no proxy is read by its pod's name. */
  readonly proxies?: ProxiesSetting
  /** It is a replay of what this sentence says: nothing is collected from it, and none of its windows is missed. */
  readonly replay?: string
  readonly linkerdNamespace: string
  readonly vizNamespace: string
  /** Oldest first; the first is in force from the beginning of time. */
  readonly windows: readonly WindowSetting[]
}
