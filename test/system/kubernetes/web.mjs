// The dashboard of linkerd-viz, as far as /api/edges: what was recorded, to whoever asks as localhost (linkerd2 web/srv/server.go).
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const recorded = readFileSync('/data/edges-deployment.json')

createServer((request, response) => {
  const { searchParams, pathname } = new URL(request.url, 'http://web.invalid')
  if (pathname === '/ping') return response.end('pong, so that there is something in the clear to be seen')
  if (!/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(request.headers.host)) return response.writeHead(400).end()
  const isRecorded = pathname === '/api/edges' && searchParams.get('resource_type') === 'deployment'
  response.writeHead(200, { 'content-type': 'application/json' }).end(isRecorded ? recorded : '{"ok":{"edges":[]}}')
}).listen(8084)
