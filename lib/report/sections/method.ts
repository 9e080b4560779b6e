/** How the numbers came to be, and what they cannot say. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'

/** How a report is made, and what it cannot know. */
export function methodSection({ checkpoint }: Summary): SectionView {
  return section('method', 'Method and limits', {
    points: [
      'Sources: metrics of the Linkerd proxies, read from Prometheus, and Kubernetes snapshots. No payload is read. Proxies are trusted: false pod labels only lower what is said of a pod, but a replaced proxy could report anything.',
      `This report says what was seen and what was not. It makes no statement about conformity with any framework. ${
        checkpoint === null
          ? 'Nothing proves yet that somebody with write access to the store left the evidence unchanged.'
          : '“Verification” says how to check that the evidence is unchanged.'
      }`,
      'A window is open at its start and closed at its end. A connection belongs to the window of the first scrape after it. Every sample counts, so a plaintext connection between two scrapes is not lost.',
      'Both ends of a path are read. In each window a path takes the worse reading, and in the period the worst of its windows.',
      'The observed share is a share of pod time: the time between successful scrapes of meshed pods, divided by their lifetime. A window that was not collected counts as not observed, with the average pod time of the others.',
      'The seen share of a path is the time in which at least one of its ends was observed, divided by the time in which both lived. A path passes only if it was encrypted whenever seen, for at least the wanted share.',
      'Percentages are cut to a tenth and never rounded up to 100 %. An unknown share is printed as unknown, never as a number.',
      'No proxy sees: traffic between two workloads without one, UDP, ports and subnets that both proxies skip, and what a proxy did after its last scrape.',
      '“No mesh TLS” means that the mesh did not encrypt; the application may have. (unmeshed) is a client without a mesh identity.',
      'A gap ends nothing: a path that was unencrypted before a gap stays so until it is seen otherwise.',
    ],
  })
}
