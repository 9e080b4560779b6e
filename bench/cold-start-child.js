/** Imports a packaged function and gives it its first event, as Lambda does with a new container. What that cost is the last line on standard error. No TypeScript, which costs more to load than a function. */
const [path = '', event = ''] = process.argv.slice(2)
const end = Date.now() + 60_000
const context = { awsRequestId: '0d8a7c1e', functionName: 'bench', getRemainingTimeInMillis: () => end - Date.now() }
const before = process.resourceUsage()
const { handler } = await import(path)
await handler(JSON.parse(event), context)
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
const cpuSeconds = (userCPUTime + systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1e6
process.stderr.write(`${JSON.stringify({ cpuSeconds, peakMegabytes: maxRSS / 1024 })}\n`)
process.exit(0)
