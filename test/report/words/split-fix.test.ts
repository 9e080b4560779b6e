import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { commandLines, fixSteps } from '../../../lib/report/words/split-fix.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const PATCH = `kubectl patch deployment/web -n shop --type merge -p '{"spec":{"template":{"metadata":{"annotations":{"linkerd.io/inject":"enabled"}}}}}'`

test('fixSteps() sets each command apart from the words that lead to it', () => {
  const fix = [
    'Add it to the mesh',
    '# See who connects:',
    'linkerd viz tap deployment/web -n shop',
    '# If the client is deployment/web in shop, run the next line without the #:',
    `# ${PATCH}`,
    '# To see packets, run the next lines without the #:',
    '# kubectl one',
    '# kubectl two',
    'kubectl three',
    '# then wait',
  ]
  matchesText(fixSteps(fix.join('\n')), [
    { text: TEXT, command: [] },
    { text: 'See who connects:', command: ['linkerd viz tap deployment/web -n shop'] },
    {
      text: TEXT,
      command: [
        'kubectl patch deployment/web -n shop --type merge \\',
        `  -p '{"spec":{"template":{"metadata":{"annotations":{"linkerd.io/inject":"enabled"}}}}}'`,
      ],
    },
    { text: 'To see packets:', command: ['kubectl one'] },
    { text: '', command: ['kubectl two'] },
    { text: '', command: ['kubectl three'] },
    { text: 'Then wait.', command: [] },
  ])
})

test('commandLines() gives lines that a shell reads as the one command', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('kubectl', '-n', 'shop', "'a  -b'", '--', PATCH), { maxLength: 40 }),
      (words) => {
        const command = words.join(' ')
        assert.equal(commandLines(command).join('\n').replaceAll(' \\\n ', ''), command)
      },
    ),
  )
  for (const odd of [`kubectl ${'x'.repeat(120)}  -n y`, `kubectl 'a ${'x'.repeat(120)} -n y`])
    assert.deepEqual(commandLines(odd), [odd])
})
