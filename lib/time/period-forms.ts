import { YEARS } from './windows.ts'

/** The accepted forms of a period, in words. */
export const PERIOD_FORMS = `a week such as 2026-W47, a month such as 2026-11, a quarter such as 2026-Q4, a day such as 2026-11-24, or two times such as 2026-11-24T12:00:00Z/2026-11-24T13:00:00Z, ${YEARS}`
