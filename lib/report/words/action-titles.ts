/** The title of an action: what to do, and where. A title states nothing that the cause leaves open. */
import type { Cause } from '../../model/path.ts'
import { printable } from '../../text/printable.ts'
import type { Action } from '../summary/actions.ts'
import { plural } from './vocabulary.ts'

const TITLES: Readonly<Record<Cause, (target: string, port: number) => string>> = {
  'destination-not-meshed': (target) => `Add ${target} to the mesh`,
  'destination-not-injected': (target) => `Restart ${target} so that it gets a proxy`,
  'destination-not-injectable': (target, port) => `Use TLS in the application on port ${port} of ${target}`,
  'destination-in-other-mesh': (target) => `Move ${target} into this mesh`,
  'destination-on-host-network': (target, port) => `Use TLS in the application on port ${port} of ${target}`,
  'destination-skips-port': (target, port) => `Send inbound port ${port} of ${target} through its proxy`,
  'destination-not-listed': (target, port) => `Find out what ${target}:${port} is`,
  'source-skips-port': (target) => `Send the skipped outbound ports of ${target} through its proxy`,
  'source-not-meshed': (target, port) => `Find the client of port ${port} of ${target} and add it to the mesh`,
  'source-not-proxied': (target, port) => `Find the client that reaches port ${port} of ${target} without a proxy`,
  'opaque-port-unmeshed-client': (target, port) =>
    `Find the client that reaches opaque port ${port} of ${target} without a proxy`,
  'init-container': (target, port) => `Check which init containers reach port ${port} of ${target} without a proxy`,
  'identity-disabled': (target) => `Enable the mesh identity of ${target}`,
  'linkerd-webhook': (target, port) => `Check that only the API server calls port ${port} of ${target}`,
  'kubernetes-api': (target) => `Let ${target} use https for the Kubernetes API`,
  'outside-cluster': (target) => `Ensure TLS from ${target} to outside the cluster`,
  'application-tls': (target, port) => `Check the application certificate on port ${port} of ${target}`,
  'no-kubernetes-list': (target, port) =>
    `Check that ciphertrail lists the pods of the client of port ${port} of ${target}`,
  'source-partly-meshed': (target, port) =>
    `Check that every pod of the client of port ${port} of ${target} has a proxy`,
  'destination-not-seen': (target) => `Find out why the proxies of ${target} were not read all the time`,
  'labels-overridden': (target) => `Remove pod labels that overwrite metric labels on paths to ${target}`,
  'pod-not-listed': (target) => `Use shorter windows or cAdvisor to see short-lived pods on paths to ${target}`,
  'perhaps-probes': (target, port) => `Find out whether only probes reach port ${port} of ${target}`,
  'counted-before': (target, port) => `Check port ${port} of ${target} in the next window`,
  'metrics-incomplete': (target) => `Find out why metrics of ${target} are incomplete`,
  'ipv6-not-proxied': (target) => `Send IPv6 connections to ${target} through its proxy`,
  unknown: (target, port) => `Find out why port ${port} of ${target} gets no mesh TLS`,
}

/** A piece of a title: our words, or a name from a cluster. */
export type TitlePart = { readonly text: string; readonly isName: boolean }

type Titled = Pick<Action, 'cause' | 'target' | 'port'>

/** `Add statefulset/inventory in warehouse to the mesh`. Control characters in names are escaped. */
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

/** `fixes 3 paths` */
export function actionEnds({ paths }: Pick<Action, 'paths'>): string {
  return `fixes ${plural(paths.length, 'path')}`
}
