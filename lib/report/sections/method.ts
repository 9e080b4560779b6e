/** How the numbers came to be, and what they cannot say. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'

/** How a report is made, and what it cannot know. */
export function methodSection({ checkpoint }: Summary): SectionView {
  return section('method', 'Method and limits', {
    points: [
      'Sources: metrics of the Linkerd proxies, read from Prometheus, and Kubernetes snapshots. No payload is read. Proxies are trusted. A false pod label can only make a verdict worse, but a replaced proxy could report anything.',
      `This report says what was seen and what was not. It does not say that a framework is met. ${
        checkpoint === null
          ? 'Nothing proves yet that somebody with write access to the store left the evidence unchanged.'
          : '“Verification” says how to check that the evidence is unchanged.'
      }`,
      'A window excludes its start and includes its end. A connection belongs to the window of the first scrape after it. Counters are cumulative, so a plaintext connection between two scrapes is counted.',
      'Both ends of a path are read. A window of a path has the worse of both readings; the period has the worst of its windows.',
      'The observed share is the time between successful scrapes of meshed pods, divided by the lifetime of these pods. A window that was not collected counts as not observed, with the average pod time of the other windows.',
      'The seen share of a path is the time that was read of it, divided by the time in which both of its ends lived. Each window counts by the end of which more was read. Time of an end does not count while a pod of it has no proxy or is in no list, so the share of a path can be lower than the observed share of its workloads. A path passes only if it was encrypted in every window with traffic and the wanted share was seen.',
      'Percentages are cut to a tenth and never rounded up to 100 %. An unknown share is printed as unknown, never as a number.',
      'No proxy sees traffic between two workloads without a proxy, UDP, and ports and subnets that both proxies skip. What a proxy did after its last scrape is not counted.',
      '“No mesh TLS” means that the mesh did not encrypt; the application may have. (unmeshed) is a client without a mesh identity.',
      'A gap ends no episode: a path that was unencrypted before a gap stays open until it is seen otherwise.',
    ],
  })
}
