/** The text that a pack begins with: for somebody who has the pack and nothing else. */
import { printable } from '../text/printable.ts'
import type { ReportRecord } from '../store/evidence/report-records.ts'
import type { Checkpoint } from '../seal/tlog/checkpoint.ts'
import { tilePath } from '../seal/tlog/tiles.ts'

/** What the text states of its pack. */
export type ReadmeFacts = {
  readonly record: Pick<ReportRecord, 'period' | 'clusters' | 'version' | 'documents'>
  /** Key of the record. */
  readonly report: string
  /** Number of its leaf. */
  readonly number: number
  /** Version that made the pack. */
  readonly version: string
  readonly evidence: 'all' | 'period'
  readonly vkey: string
  readonly checkpoint: Pick<Checkpoint, 'origin' | 'size' | 'root'>
  /** A piece of evidence to show the commands with; undefined where there is none. */
  readonly example: { readonly key: string; readonly number: number } | undefined
  readonly attempts: number
}

/** The text. Equal facts give equal text. */
export function readmeText(facts: ReadmeFacts): string {
  const { record, vkey, checkpoint, example } = facts
  const { period } = record
  const root = Buffer.from(checkpoint.root).toString('base64')
  return `CIPHERTRAIL AUDIT PACK
======================

${wrapped(`This file holds a report on which service-to-service paths in Linkerd clusters were encrypted, the evidence it is derived from, and what proves that the evidence was not changed since it was sealed. You need no network, no account and no trust in whoever gave it to you.`)}

Period    ${printable(period.label)}: after ${period.from}, up to ${period.to}
Clusters  ${record.clusters.map(printable).join(', ') || 'none'}
Report    ${facts.report}, made by ciphertrail ${printable(record.version)}
Log       ${printable(checkpoint.origin)}, ${checkpoint.size} leaves, root ${root}
Key       ${printable(vkey)}
Evidence  ${facts.attempts} collection attempts${facts.evidence === 'all' ? ', all that the report is based on' : ' of the period alone'}


1. READ IT
----------

Unpack the file (here pack.zip) into an empty folder beside it, and go there:

  unzip -q pack.zip -d pack && cd pack

  report.html            the report, in any browser
  report.pdf             the same as PDF/A-3a
  index/by-control.csv   each control, the rules that test it, the report's counts
  index/by-path.csv      each path, the rules it fails, its evidence files
  index/by-window.csv    each window of time, its evidence file or its gap
  data/                  the numbers behind the report
  controls.json          the framework controls and their rules
  changes/               clusters, scope, waivers and reviews, as declared
  verify.mjs, verifier/  the program that checks this pack (section 2)
  evidence/              what the clusters answered, unmodified (gzip, JSON)

To read a piece of evidence:

  gzip -dc ${example?.key ?? 'evidence/WINDOW/CLUSTER/0001.json.gz'} | head -c 1000; echo


2. CHECK IT
-----------

${wrapped("Get the key from a source other than this pack: the operator's website, a letter, or an earlier report. Write it to the file trusted-key.txt, beside the packed file. The pack contains a key too, but whoever forges a pack can put their own key into it.")}

In the unpacked folder, with Node.js 18 or later (https://nodejs.org) and nothing else:

  node verify.mjs --key ../trusted-key.txt

Write no files into this folder: a file that is not listed is a finding. To
check the packed file itself, every byte of it, give its name:

  node verify.mjs --key ../trusted-key.txt ../pack.zip

${wrapped('"Verified" means: the key signed the log; the log is whole; every evidence file, every declared change and the report are what was sealed; nothing that belongs in the pack is absent; no window of the period is without an evidence file or a recorded gap. Exit code 0 means verified, 1 means not.')}

${wrapped('The verifier comes with the pack, so a forger could change it too. Use one from elsewhere (lib/pack/bundled in the source of ciphertrail, or that of an earlier pack), or section 3.')}

With a checkpoint of the same log that you kept earlier (log/checkpoint of an
earlier pack, or the one printed in an earlier report):

  node verify.mjs --key ../trusted-key.txt --checkpoint ../old-checkpoint

${wrapped('That also shows that the log was not rewritten since. With ciphertrail itself, the report is also made again from the evidence and compared:')}

  ciphertrail verify ../pack.zip --key "$(cat ../trusted-key.txt)"


3. CHECK IT WITHOUT OUR PROGRAMS
--------------------------------

The files are those that are listed (GNU coreutils):

  sha256sum --check --quiet MANIFEST.sha256 && echo "files match"

The log's key signed the checkpoint (OpenSSL 3):

  head -n 3 log/checkpoint > ../signed.txt
  tail -n 1 log/checkpoint | cut -d ' ' -f 3 | base64 -d | tail -c 64 > ../signature.bin
  openssl pkeyutl -verify -pubin -inkey vkey.pem -rawin -in ../signed.txt -sigfile ../signature.bin

${wrapped('That proves nothing unless vkey.pem is the key that you got elsewhere (section 2). Both lines must print the same:')}

  cut -d + -f 3- ../trusted-key.txt | base64 -d | tail -c 32 | sha256sum
  openssl pkey -pubin -in vkey.pem -outform DER | tail -c 32 | sha256sum
${
  example === undefined
    ? ''
    : `
The log names a piece of evidence by its hash (here leaf ${example.number}):

  sum=$(sha256sum ${example.key} | cut -d ' ' -f 1)
  grep --text --only-matching "\\"sha256\\":\\"$sum\\"" ${bundleOf(example.number, checkpoint.size)}
`
}
The log is whole and has the signed root (Tessera, another implementation of
the log's format; install it beforehand with Go):

  go install github.com/transparency-dev/tessera/cmd/fsck@v1.0.4
  fsck --storage_url "file://$PWD/log/" --public_key ../trusted-key.txt --ui=false

If a file with the name of the packed file and the end .tsr lies beside it
(here pack.zip.tsr), it is a time stamp (RFC 3161): whoever signed it saw this
checkpoint at the time in it. With their certificates, from elsewhere:

  openssl ts -reply -in ../pack.zip.tsr -text
  openssl ts -verify -data log/checkpoint -in ../pack.zip.tsr -CAfile ../tsa-ca.pem

${wrapped('If those certificates have expired since, add -attime and that time in seconds since 1970 (date +%s).')}

The log names the report of this pack by its hash (leaf ${facts.number}). It prints a line:

  sum=$(sha256sum ${facts.report} | cut -d ' ' -f 1)
  grep --text --only-matching "\\"key\\":\\"${facts.report}\\",\\"kind\\":\\"report\\",\\"sha256\\":\\"$sum\\"" ${bundleOf(facts.number, checkpoint.size)}

That file names the documents. Each of these prints a line:

${documentLines(facts)}

The formats are public: tlog-tiles, tlog-checkpoint, tlog-proof and signed-note
of https://c2sp.org, RFC 6962 (the tree), RFC 8785 (the JSON of the leaves).


4. WHAT THIS DOES NOT SHOW
--------------------------

${wrapped('- That the clusters told the truth. The evidence is what their proxies and their API servers answered. The report says what was not observed.')}
${wrapped('- That the key is the right one, unless you got it elsewhere.')}
${wrapped('- When it was sealed: times in the log are those of its clock. A time stamp shows that the checkpoint existed then, not that what it seals is older.')}
${wrapped('- That nothing was deleted before it was sealed. Windows without evidence are recorded as gaps.')}
${
  facts.evidence === 'all'
    ? ''
    : `${wrapped('- The report also uses evidence from before and after the period, which this pack leaves out. So the report cannot be made again from this pack alone.')}\n`
}
ciphertrail ${printable(facts.version)}
`
}

/** How to see that the documents that people read are those of the sealed record. */
function documentLines({ record, report }: ReadmeFacts): string {
  return record.documents
    .filter(({ name }) => name === 'report.html' || name === 'report.pdf')
    .map(
      ({ name }) => `  sum=$(sha256sum ${name} | cut -d ' ' -f 1)
  grep --only-matching "\\"name\\":\\"${name}\\",\\"sha256\\":\\"$sum\\"" ${report}`,
    )
    .join('\n')
}

/** Where the leaf of a number stands in the log's tiles. */
function bundleOf(number: number, size: number): string {
  const index = Math.floor(number / 256)
  const width = Math.min(256, size - index * 256)
  return `log/${tilePath({ level: 'entries', index, width })}`
}

/** Lines of at most 78 characters. */
function wrapped(text: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 78) {
      lines.push(line)
      line = text.startsWith('- ') ? '  ' : ''
    }
    line += line.trim() === '' ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
}
