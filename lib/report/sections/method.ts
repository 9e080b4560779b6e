/** How the numbers came to be, and what they cannot say. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'

/** How a report is made, and what it cannot know. */
export function methodSection({ checkpoint }: Summary): SectionView {
  return section('method', 'Method and limits', {
    points: [
      'Sources: the metrics of the Linkerd proxies, read from Prometheus, and the lists of the Kubernetes API. No payload is read. What proxies say is believed: a pod that lies by its labels only lowers what is said of it, a proxy that was replaced could lie in full.',
      `This report says what was seen and what was not. It does not say that anybody complies with anything. ${
        checkpoint === null
          ? 'That the evidence behind it was not changed by somebody who can write to the store is not proved yet.'
          : 'How to check that the evidence behind it was not changed stands under “Verification”.'
      }`,
      'Time is tiled into windows, open at the start and closed at the end. A connection belongs to the window that holds the first scrape after it; what had no mesh TLS is decided from raw samples, sample by sample, so that a connection between two looks still counts.',
      'Both sides of a path are read. A path in a window takes the worst of what they say; a path in the period counts as the worst of its windows.',
      'Observed is a share of pod time: the time between successful scrapes of meshed pods, over their time of life. A window that was not collected counts as not observed, with as much pod time as the average of the others.',
      'Percentages are cut, not rounded. A share that is not known is printed as not known, never as a number.',
      'Not seen by any proxy: traffic between two workloads without one, UDP, ports and subnets kept out of both proxies, and what a proxy did after its last scrape.',
      '“No mesh TLS” says that the mesh did not encrypt; an application may have done so itself. An unnamed source, (unmeshed), is a client that showed no mesh identity.',
      'A gap ends nothing: a path that was not encrypted before a gap stays so until it is seen otherwise.',
    ],
  })
}
