import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

// Loaded before a command: writes down which modules of AWS' SDK it loads.

registerHooks({
  load(url, context, nextLoad) {
    if (url.includes('/@aws-sdk/')) appendFileSync(process.env['LOADED_MODULES'] ?? '', `${url}\n`)
    return nextLoad(url, context)
  },
})
