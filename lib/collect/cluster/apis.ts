import type { Hints } from '../../net/errors.ts'
import type { StreamAnswer } from '../../net/http-stream.ts'

/** The purpose of one request. */
export type RequestPurpose = {
  /** After "Cannot ": `list pods of cluster "prod"`. */
  readonly what: string
  /** The remedy for each kind of failure, in addition to the hints for every request. */
  readonly hints?: Hints
}

/** A cluster's Kubernetes API; read-only. */
export type KubernetesApi = {
  /** The parsed answer to a GET of `/api/v1/pods?limit=500` and the like. Throws SourceError. */
  readonly get: (path: string, asking: RequestPurpose) => Promise<unknown>
  /** The answer to a POST of bytes, as it arrives, for some time; null if none began. It is a read, too: tap is a watch. Throws SourceError. */
  readonly stream: (
    path: string,
    body: Uint8Array,
    forMs: number,
    asking: RequestPurpose,
  ) => Promise<StreamAnswer | null>
  /** The parsed answer to a POST that changes nothing, such as an access review. Throws SourceError. */
  readonly review: (path: string, question: unknown, asking: RequestPurpose) => Promise<unknown>
}

/** A cluster's Prometheus. */
export type PrometheusApi = {
  /** The answer's text, as received, to parameters sent to `/api/v1/query` and the like. Throws SourceError. */
  readonly ask: (
    method: 'GET' | 'POST',
    path: string,
    parameters: URLSearchParams,
    asking: RequestPurpose,
  ) => Promise<string>
  /** The servers queried so far, one more after each change, in words that name them; empty if the transport cannot tell them apart. */
  readonly servers: () => readonly string[]
}

/** The dashboard of a cluster's linkerd-viz, which answers what `linkerd viz edges` shows. */
export type VizApi = {
  /** The answer's text, as received, to a GET of a path with its query. Throws SourceError. */
  readonly get: (path: string, asking: RequestPurpose) => Promise<string>
  /** The same as in {@link PrometheusApi}. */
  readonly servers: () => readonly string[]
}
