/** Writes docs/rules.md: `npm run rules`. */
import { writeFileSync } from 'node:fs'
import { FRAMEWORKS } from '../lib/assess/judge/controls.ts'
import { RULES } from '../lib/assess/judge/rules.ts'
import { rulesPage } from './rules-page.ts'

writeFileSync(new URL('../docs/rules.md', import.meta.url), rulesPage(RULES, FRAMEWORKS))
