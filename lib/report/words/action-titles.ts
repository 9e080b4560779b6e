/** What an action is called: what to do, and where. */
import type { Cause } from '../../model/path.ts'
import { printable } from '../../text/printable.ts'
import type { Action } from '../summary/actions.ts'
import { plural } from './vocabulary.ts'

const TITLES: Readonly<Record<Cause, (target: string, port: number) => string>> = {
  'destination-not-meshed': (target) => `Mesh ${target}`,
  'destination-not-injected': (target) => `Restart ${target}, so that it gets a proxy`,
  'destination-not-injectable': (target, port) => `Use TLS in the application on port ${port} of ${target}`,
  'destination-in-other-mesh': (target) => `Bring ${target} into this mesh`,
  'destination-on-host-network': (target, port) => `Use TLS in the application on port ${port} of ${target}`,
  'destination-skips-port': (target, port) => `Stop skipping inbound port ${port} of ${target}`,
  'destination-not-listed': (target, port) => `Find out what ${target}:${port} is`,
  'source-skips-port': (target) => `Stop skipping outbound ports of ${target}`,
  'source-not-meshed': (target, port) => `Find and mesh the client of port ${port} of ${target}`,
  'source-not-proxied': (target, port) => `Find the client of port ${port} of ${target} that goes around its proxy`,
  'opaque-port-unmeshed-client': (target, port) => `Find and mesh the client of the opaque port ${port} of ${target}`,
  'init-container': (target, port) => `Start the proxy before the init containers of the client of ${target}:${port}`,
  'identity-disabled': (target) => `Turn the identity of ${target} on`,
  'linkerd-webhook': (target, port) => `Keep the TLS of the webhook on port ${port} of ${target}`,
  'kubernetes-api': (target) => `Let ${target} use https with the Kubernetes API`,
  'outside-cluster': (target) => `Encrypt what ${target} sends out of the cluster`,
  'application-tls': (target, port) => `Check the certificate of the application on port ${port} of ${target}`,
  'no-kubernetes-list': (target, port) => `Let ciphertrail list what port ${port} of ${target} belongs to`,
  'source-partly-meshed': (target, port) => `Mesh every pod of the client of port ${port} of ${target}`,
  'destination-not-seen': (target) => `Let the proxies of ${target} be scraped`,
  'labels-overridden': (target) => `Remove the labels that replace what the proxies of ${target} say`,
  'pod-not-listed': (target) => `Let ciphertrail list the pods of ${target}`,
  'perhaps-probes': (target, port) => `Find out whether only probes reach port ${port} of ${target}`,
  'counted-before': (target, port) => `Look at port ${port} of ${target} in the next window`,
  'metrics-incomplete': (target) => `Let every metric of ${target} be read`,
  'ipv6-not-proxied': (target) => `Let the proxy of ${target} handle IPv6`,
  unknown: (target, port) => `Find out what reaches port ${port} of ${target} in the clear`,
}

/** A piece of a title: our words, or a name from a cluster. */
export type TitlePart = { readonly text: string; readonly isName: boolean }

type Titled = Pick<Action, 'cause' | 'target' | 'port'>

/** `Mesh statefulset/inventory in warehouse`. Names are made printable. */
export function actionTitle(action: Titled): string {
  return titleParts(action)
    .map(({ text }) => text)
    .join('')
}

/** Stands for the target until it is put there; no title and no port holds it. */
const PLACE = '\u0000'

/** The same in pieces, so that names can be set apart from words. */
export function titleParts({ cause, target, port }: Titled): readonly TitlePart[] {
  const [before = '', after = ''] = TITLES[cause](PLACE, port).split(PLACE)
  return [wordsPart(before), ...targetParts(target), wordsPart(after)].filter(({ text }) => text !== '')
}

function targetParts({ kind, namespace, name }: Action['target']): readonly TitlePart[] {
  if (name === '') return [namePart(`(${kind})`)]
  const own = namePart(`${kind}/${name}`)
  return namespace === '' ? [own] : [own, wordsPart(' in '), namePart(namespace)]
}

const wordsPart = (text: string): TitlePart => ({ text, isName: false })
const namePart = (text: string): TitlePart => ({ text: printable(text), isName: true })

/** `ends 3 paths` */
export function actionEnds({ paths }: Pick<Action, 'paths'>): string {
  return `ends ${plural(paths.length, 'path')}`
}
