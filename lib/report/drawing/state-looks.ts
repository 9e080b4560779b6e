/**
 * How each state looks, in one place, for the page, the PDF and the terminal: always a word, a shape and a colour, never
 * colour alone. The colours are Okabe and Ito's palette, which most colour-blind readers can tell apart.
 */
import type { SeenAs } from '../../assess/judge/seen-as.ts'
import type { Verdict } from '../../model/judgement.ts'

/** What a cell of a strip can stand for: a state, or plain text that policy refused (listed, never scored). */
export type Mark = SeenAs

/** How a cell of a strip is drawn. `tall` is solid and higher than the rest; `empty` is blank with a dot. */
type Pattern = 'solid' | 'tall' | 'outlined' | 'hatched' | 'dotted' | 'thin' | 'empty' | 'crossed' | 'barred'

/** How a state looks, by shape and by colour. */
export type StateLook = {
  /** One character, one cell wide in a terminal. */
  readonly shape: string
  readonly meaning: string
  /** On white, as `#rrggbb`. */
  readonly fill: string
  /** The same hue on near-black. */
  readonly fillOnDark: string
  readonly pattern: Pattern
}

/** The look of each mark, worst first: the order in which a cell that stands for several windows picks one. */
export const LOOKS: Readonly<Record<Mark, StateLook>> = {
  plaintext: {
    shape: '▲',
    meaning: 'plaintext, seen as such',
    fill: '#D55E00',
    fillOnDark: '#F07A1F',
    pattern: 'tall',
  },
  'no-mesh-tls': {
    shape: '△',
    meaning: 'not encrypted by the mesh; the application may have encrypted it',
    fill: '#E69F00',
    fillOnDark: '#F0B429',
    pattern: 'hatched',
  },
  unknown: {
    shape: '?',
    meaning: 'in a window: the state could not be determined; of a path: not enough evidence',
    fill: '#6B7280',
    fillOnDark: '#9CA3AF',
    pattern: 'dotted',
  },
  'not-collected': {
    shape: '✕',
    meaning: 'the window was not collected, or neither end of the path could be read in it',
    fill: '#111827',
    fillOnDark: '#E5E7EB',
    pattern: 'crossed',
  },
  'tls-anonymous': {
    shape: '◐',
    meaning: 'TLS by the mesh, but the client showed no identity',
    fill: '#56B4E9',
    fillOnDark: '#7CC7F2',
    pattern: 'solid',
  },
  'app-tls': {
    shape: '○',
    meaning: 'TLS by the application; the identity was not verified',
    fill: '#009E73',
    fillOnDark: '#1FBF92',
    pattern: 'outlined',
  },
  mtls: {
    shape: '●',
    meaning: 'mutual TLS by the mesh',
    fill: '#0072B2',
    fillOnDark: '#3A9BD6',
    pattern: 'solid',
  },
  refused: {
    shape: '⊘',
    meaning: 'tried without mesh TLS and refused by policy: listed, not judged',
    fill: '#9A6700',
    fillOnDark: '#D4A72C',
    pattern: 'barred',
  },
  exempt: {
    shape: '–',
    meaning:
      'probes, the proxies’ own ports, connections without payload, TLS to the Kubernetes API: listed, not judged',
    fill: '#D1D5DB',
    fillOnDark: '#6B7280',
    pattern: 'thin',
  },
  'not-observed': {
    shape: '·',
    meaning: 'collected, but no traffic was seen',
    fill: '#9CA3AF',
    fillOnDark: '#6B7280',
    pattern: 'empty',
  },
}

/** All marks, worst first. A window that was not collected comes before everything encrypted, so that no bin hides a gap. */
export const MARKS = Object.keys(LOOKS) as readonly Mark[]

/** How a verdict looks: never by colour alone, and `not-applicable` never like a pass. */
export const VERDICT_LOOKS: Readonly<Record<Verdict, Pick<StateLook, 'shape' | 'meaning' | 'fill' | 'fillOnDark'>>> = {
  fail: { ...LOOKS.plaintext, shape: '✗', meaning: 'something that was judged failed, accepted by a waiver or not' },
  'not-enough-evidence': {
    ...LOOKS.unknown,
    meaning: 'less than the wanted share was seen, or what was seen is undetermined; not a pass',
  },
  pass: { ...LOOKS.mtls, shape: '✓', meaning: 'everything that was judged passed' },
  'not-applicable': { ...LOOKS.exempt, meaning: 'there was nothing to judge; not a pass' },
}
