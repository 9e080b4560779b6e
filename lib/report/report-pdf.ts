/** The report as a tagged PDF for archives (PDF/A-3a), with the data attached, set by Typst from the same view as the page. */
import { fileURLToPath } from 'node:url'
import { NodeCompiler } from '@myriaddreamin/typst-ts-node-compiler'
import { codePointName } from '../text/printable.ts'
import { VERDICTS } from '../model/judgement.ts'
import { LOOKS, VERDICT_LOOKS } from './drawing/state-looks.ts'
import type { ReportView } from './report-view.ts'

const templates = fileURLToPath(new URL('templates', import.meta.url))

// Source Sans 3 (SIL Open Font License) from npm; the mono face is the compiler's own DejaVu Sans Mono. Given fonts win over those
// of the machine, and fallback is off, so that the bytes are the same everywhere.
const fontPaths = ['400Regular', '600SemiBold'].map((weight) =>
  fileURLToPath(new URL(weight, import.meta.resolve('@expo-google-fonts/source-sans-3/package.json'))),
)

// What both fonts can draw, checked by a test. PDF/UA forbids text that a font cannot draw, and Typst then gives no document at all.
const UNDRAWABLE =
  /[^\n\x20-\x7E\u00A1-\u00AC\u00AE-\u017F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03CE\u0400-\u045F–—‘’“”…→−×●◐○▲△✕⊘✓✗]/gu

const looks = {
  ...LOOKS,
  ...Object.fromEntries(
    VERDICTS.map((verdict) => [`verdict-${verdict}`, { ...VERDICT_LOOKS[verdict], pattern: 'solid' }]),
  ),
}

/**
 * Renders a view. `madeAt` (RFC 3339) is the date inside the file: the end of the period, so that the same input gives the same
 * bytes. `data` is attached as files. The view is handed over as data and never as Typst source. Characters that the fonts lack are printed as `[U+4E2D]`.
 */
export function renderPdf(
  view: ReportView,
  madeAt: string,
  data: readonly { readonly name: string; readonly body: string }[],
): Uint8Array {
  const text = JSON.stringify({ ...view, looks }, (_, value: unknown) =>
    typeof value === 'string' ? value.replace(UNDRAWABLE, codePointName) : value,
  )
  const compiler = NodeCompiler.create({ workspace: templates, fontArgs: [{ fontPaths }] })
  try {
    // As files that only the compiler sees: megabytes of data are so neither quoted nor parsed.
    const names = JSON.stringify(data.map(({ name }) => name))
    for (const { name, body } of [...data, { name: 'view.json', body: text }, { name: 'data.json', body: names }])
      compiler.mapShadow(`${templates}/${name}`, Buffer.from(body))
    return compiler.pdf(
      { mainFilePath: `${templates}/report.typ` },
      { pdfStandard: 'a-3a', pdfTags: true, creationTimestamp: Math.floor(Date.parse(madeAt) / 1000) },
    )
  } catch (error) {
    // Typst's errors have no message.
    const { code = '' } = error as { readonly code?: string }
    throw error instanceof Error && error.message !== ''
      ? error
      : new Error(`Cannot make the PDF of the report: ${code}`, { cause: error })
  } finally {
    compiler.evictCache(0)
  }
}
