/** Writes docs/rules.md: `npm run rules`. */
import { writeFileSync } from 'node:fs'
import { FRAMEWORKS } from '../lib/assess/controls.ts'
import { RULES } from '../lib/assess/rules.ts'
import { rulesPage } from '../lib/report/rules-page.ts'

writeFileSync(new URL('rules.md', import.meta.url), rulesPage(RULES, FRAMEWORKS))
