/** How text stands in OSCAL: as a string that is never empty, as markup in which no name is markup, and as a token. */
import type { FrameworkResult } from '../../model/judgement.ts'
import { type Pieces, listText } from '../../text/json-lines.ts'
import { printable } from '../../text/printable.ts'
import { OWN_NAMES } from '../stable-uuid.ts'

/** The version that documents are made for; a test holds them to its schema. */
export const OSCAL_VERSION = '1.1.3'

/** A property of our own. */
export type Prop = { readonly name: string; readonly ns: string; readonly value: string }

/** A property; none where there is no value, since OSCAL has no empty one. Spaces at its ends are left out. */
export function prop(name: string, value: string | number | boolean | null | undefined): readonly Prop[] {
  const text = value === null || value === undefined ? '' : printable(String(value)).trim()
  return text === '' ? [] : [{ name, ns: OWN_NAMES, value: text }]
}

/** These properties as a part; no part without any. */
export const withProps = (...props: readonly Prop[]): { readonly props?: readonly Prop[] } =>
  props.length === 0 ? {} : { props }

// What OSCAL's markup gives a meaning to, inside a line.
const MARKUP = /[\\`*_[\]<>~^{}&#|$"']/gu

/** A text from a cluster as markup that shows it as it is. */
export function markup(text: string): string {
  return printable(text).replace(MARKUP, (character) => `\\${character}`)
}

/** A list, which OSCAL wants either with items or not at all. */
export const someOf = (items: readonly unknown[]): Pieces | undefined =>
  items.length === 0 ? undefined : listText(items)

/** As NIST's catalog writes a control of SP 800-53, which FedRAMP shares: `sc-8.1`. Others have no catalog: `dora_rts-art-6-2-a`. */
export function controlToken(framework: string, id: string): string {
  if (framework === 'nist-800-53' || framework === 'fedramp') return id.toLowerCase().replace('(', '.').replace(')', '')
  return `${framework}_${slug(id)}`
}

/** The id of our objective for a control: what a finding is about. It is never the control itself. */
export function objectiveToken(framework: Pick<FrameworkResult, 'id'>, control: { readonly id: string }): string {
  return `${framework.id}_${slug(control.id)}_objective`
}

const slug = (id: string): string =>
  id
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/gu, '-')
    .replaceAll(/^-|-$/gu, '')
