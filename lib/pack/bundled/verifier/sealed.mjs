// What is sealed, and what must be there.
import { add, broken, parse, plain, SEALED, sha256 } from './common.mjs'

const timeOf = (text = '') => text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')

function isPacked({ number, leaf }, { report, record, evidence }) {
  if (number >= report.number) return number === report.number
  const isWanted = (time) => evidence === 'all' || (time > record.period.from && time <= record.period.to)
  if (leaf.kind === 'snapshot') return record.clusters.includes(leaf.cluster) && isWanted(leaf.window?.end)
  if (leaf.kind === 'packets') {
    const [, , cluster, name = ''] = leaf.key.split('/')
    return record.clusters.includes(cluster) && isWanted(timeOf(name.slice(0, 16)))
  }
  return ['registry-change', 'scope-change', 'waiver-change', 'review'].includes(leaf.kind)
}

export function checkSealed(leaves, manifest, bodies) {
  const report = leaves.find(({ leaf }) => leaf.kind === 'report' && leaf.key === manifest.report)
  if (report === undefined) throw broken(plain(manifest.report), 'the log does not name the report of this pack')
  const record = parse(bodies.get(manifest.report) ?? Buffer.alloc(0))
  if (sha256(bodies.get(manifest.report) ?? '') !== report.leaf.sha256 || record === undefined)
    throw broken(manifest.report, 'it is not the record that was sealed')
  const packed = leaves.filter((leaf) => isPacked(leaf, { report, record, evidence: manifest.evidence }))
  const listed = new Map(manifest.members.map((member) => [member.name, member]))
  for (const { leaf, number } of packed) {
    const member = listed.get(leaf.key)
    if (member === undefined) add(leaf.key, `it is missing, although leaf ${number} names it`)
    else if (member.sha256 !== leaf.sha256 || member.size !== leaf.size)
      add(leaf.key, `it is not what was sealed (leaf ${number})`)
  }
  const keys = new Set(packed.map(({ leaf }) => leaf.key))
  for (const { name } of manifest.members)
    if (SEALED.test(name) && !keys.has(name)) add(name, 'no leaf of the log names it for this report')
  const memberOf = (name) => (name === 'report.pdf' || name === 'report.html' ? name : `data/${name}`)
  const documents = new Map(record.documents.map((document) => [memberOf(document.name), document]))
  for (const [name, { sha256: sum, size }] of documents) {
    const member = listed.get(name)
    if (member === undefined) add(name, 'it is missing, although it was sealed with the report')
    else if (member.sha256 !== sum || member.size !== size)
      add(name, 'it is not the document that was sealed with the report')
  }
  for (const { name } of manifest.members)
    if (/^(data\/|report\.(pdf|html)$)/.test(name) && !documents.has(name))
      add(name, 'it was not sealed with the report')
  const attempts = packed.filter(({ leaf }) => leaf.kind === 'snapshot').length
  return { report, record, attempts, objects: packed.length, documents: documents.size }
}

/** Each cluster as often as it was registered, by the changes in their order; `removedAt` is absent for those that are registered. */
function registrationsIn(bodies) {
  const numberOf = (name) => Number(name.slice('changes/clusters/'.length).split('.')[0])
  const names = [...bodies.keys()].filter((name) => name.startsWith('changes/clusters/'))
  const [present, removed] = [new Map(), []]
  for (const name of names.sort((a, b) => numberOf(a) - numberOf(b))) {
    const { at, content } = parse(bodies.get(name)) ?? {}
    if (content?.cluster) present.set(content.id, content.cluster)
    else if (present.has(content?.id)) {
      removed.push({ ...present.get(content.id), removedAt: at })
      present.delete(content.id)
    }
  }
  return [...removed, ...present.values()]
}

/** Each expected window of the period is an attempt or a gap, and is in the report. `left`: what was expected, and is not in the report, which does not claim it. */
export function checkWindows(leaves, report, record, bodies) {
  const registrations = registrationsIn(bodies)
  const latest = new Map(registrations.map((cluster) => [cluster.id, cluster]))
  const told = new Set(
    leaves.flatMap(({ leaf }) => (leaf.window ? [`${leaf.cluster} ${leaf.window.start} ${leaf.window.end}`] : [])),
  )
  // Ids and times of windows.csv are never quoted.
  const [heading = '', ...rows] = (bodies.get('data/windows.csv') ?? '').toString().split(/\r?\n/)
  const judged = new Set(heading.startsWith('cluster,start,end,') ? rows.map((row) => row.split(',', 3).join(' ')) : [])
  let attempts = 0
  const [attempted, gone] = [new Set(), new Set()]
  for (const { leaf } of leaves) {
    if (
      !leaf.window ||
      !record.clusters.includes(leaf.cluster) ||
      leaf.window.end <= record.period.from ||
      leaf.window.end > record.period.to
    )
      continue
    const place = `${leaf.cluster} ${leaf.window.start} ${leaf.window.end}`
    if (leaf.kind === 'gap') gone.add(place)
    else attempted.add(place)
    if (leaf.kind !== 'gap') attempts++
  }
  const seconds = (time) => Date.parse(time) / 1000
  const text = (at) => new Date(at * 1000).toISOString().replace('.000Z', 'Z')
  for (const id of record.clusters)
    if (!latest.has(id)) add(`cluster ${plain(id)}`, 'its registration is not in the pack')
  const left = new Map()
  for (const cluster of registrations) {
    if (cluster.replay !== undefined) continue
    const { id, registeredAt, removedAt = record.period.to } = cluster
    const isOfReport = record.clusters.includes(id)
    const from = Math.max(seconds(record.period.from), seconds(registeredAt))
    const to = Math.min(seconds(record.period.to), seconds(removedAt))
    for (let at = from; at < to;) {
      const day = Math.floor(at / 86400) * 86400
      const setting = [...cluster.windows].reverse().find(({ since }) => seconds(since) <= day) ?? cluster.windows[0]
      const start = day + Math.floor((at - day) / (setting.minutes * 60)) * setting.minutes * 60
      at = start + setting.minutes * 60
      if (at > to) break
      const place = `${id} ${text(start)} ${text(at)}`
      if (isOfReport && !told.has(place))
        add(`cluster ${id}`, `window ${text(start)} to ${text(at)} is neither evidence nor a recorded gap`)
      if (judged.has(place)) continue
      if (isOfReport && (latest.get(id) === cluster || attempted.has(place)))
        add('data/windows.csv', `the report did not judge window ${text(start)} to ${text(at)} of cluster ${id}`)
      else left.set(id, (left.get(id) ?? 0) + 1)
    }
  }
  return {
    attempts,
    gaps: [...gone].filter((place) => !attempted.has(place)).length,
    left: [...left].map(([cluster, windows]) => ({ cluster, windows })),
  }
}
