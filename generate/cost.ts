/** Writes docs/cost.md: `npm run cost`. */
import { writeFileSync } from 'node:fs'
import { costPage } from './cost-page.ts'

writeFileSync(new URL('../docs/cost.md', import.meta.url), costPage())
