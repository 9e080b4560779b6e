/** What an action is called: what to do, and where. */
import type { Cause } from '../../model/path.ts'
import { printable } from '../../text/printable.ts'
import type { Action } from '../summary/actions.ts'
import { plural } from './vocabulary.ts'

const TITLES: Readonly<Record<Cause, (target: string, port: number) => string>> = {
  'destination-not-meshed': (target) => `Mesh ${target}`,
  'destination-on-host-network': (target, port) => `Use TLS in the application on port ${port} of ${target}`,
  'destination-skips-port': (target, port) => `Stop skipping inbound port ${port} of ${target}`,
  'source-skips-port': (target) => `Stop skipping outbound ports of ${target}`,
  'source-not-meshed': (target, port) => `Find and mesh the client of port ${port} of ${target}`,
  'opaque-port-unmeshed-client': (target, port) => `Find and mesh the client of the opaque port ${port} of ${target}`,
  'init-container': (target, port) => `Start the proxy before the init containers of the client of ${target}:${port}`,
  'kubernetes-api': (target) => `Let ${target} use https with the Kubernetes API`,
  'outside-cluster': (target) => `Encrypt what ${target} sends out of the cluster`,
  'application-tls': (target, port) => `Check the certificate of the application on port ${port} of ${target}`,
  unknown: (target, port) => `Find out what reaches port ${port} of ${target} in the clear`,
}

/** `Mesh statefulset/inventory in warehouse`. Names are made printable. */
export function actionTitle({ cause, target, port }: Pick<Action, 'cause' | 'target' | 'port'>): string {
  const { kind, namespace, name } = target
  const where = name === '' ? `(${kind})` : `${kind}/${name}${namespace === '' ? '' : ` in ${namespace}`}`
  return printable(TITLES[cause](where, port))
}

/** `ends 3 paths` */
export function actionEnds({ paths }: Pick<Action, 'paths'>): string {
  return `ends ${plural(paths.length, 'path')}`
}
