import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNoMailbox } from '../../../lib/deliver/send/smtp.ts'
import '../../support/property-seed.ts'

for (const [reply, wanted] of [
  ['550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown in virtual mailbox table', true],
  ['550-5.1.1 The email account that you tried to reach does not exist.\n550 5.1.1 See the help', true],
  ['550-5.1.1 no such user\r\n550 see the help', true],
  ['553 5.1.3 The recipient address is not a valid address', true],
  ['551 5.1.6 moved', true],
  ['550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup', true],
  ['550 5.1.1', true],
  // The domain, the mailbox for now, the network, us.
  ['550 5.1.2 Domain not found', false],
  ['550 5.1.0 Address rejected', false],
  ['550-5.2.1 The user you are trying to contact is receiving mail at a rate that\n550 5.2.1 prevents more', false],
  ['550 5.2.1 disabled', false],
  ['552 5.2.2 Mailbox full', false],
  ['550 5.4.1 Recipient address rejected: Access denied', false],
  ['550 5.7.1 Relaying denied', false],
  ['550 5.7.1 Blocked, see 5.1.1', false],
  // None, or not where it belongs.
  ['550 User unknown', false],
  ['550 User unknown 5.1.1', false],
  ['5505.1.1 x', false],
  ['550 5.1.1.2 x', false],
  ['550 5.1.11 x', false],
  ['550 5.1.1x', false],
  ['', false],
  ['5.1.1', false],
  // For now, whatever comes behind; and two of them.
  ['450 5.1.1 later', false],
  ['550 4.1.1 later', false],
  ['250 2.1.5 Ok', false],
  ['550-5.1.1 no such user\n550 5.7.1 or you may not write to them', false],
  ['550-5.1.1 no such user\n450 5.1.1 later', false],
] as const)
  test(`isNoMailbox() takes ${JSON.stringify(reply).slice(0, 60)} for ${wanted ? 'an address that nobody has' : 'no word of the mailbox'}`, () => {
    assert.equal(isNoMailbox(reply), wanted)
  })

const code = fc
  .tuple(fc.nat({ max: 9 }), fc.nat({ max: 12 }), fc.nat({ max: 12 }))
  .map(([first, second, third]) => `${first}.${second}.${third}`)

test('isNoMailbox() silences nobody by a number of another class or subject, whatever is said beside it', () => {
  fc.assert(
    fc.property(fc.nat({ max: 999 }), code, fc.string(), (status, enhanced, said) => {
      const reply = `${String(status).padStart(3, '0')} ${enhanced} ${said.replaceAll(/[\r\n]/g, '')}`
      const isOfMailbox = status >= 500 && status < 600 && /^5\.1\.(1|3|6|10)$/.test(enhanced)
      assert.equal(isNoMailbox(reply), isOfMailbox)
    }),
    { numRuns: 2000 },
  )
})

test('isNoMailbox() wants no line of another class, and gives an answer to whatever is sent', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      assert.equal(typeof isNoMailbox(`${before}\n${after}`), 'boolean')
      assert.equal(
        isNoMailbox(`550-5.1.1 x\n${before}`),
        /^5\d\d([ -]|$)/.test(before) && !/^5\d\d[ -]\d\.\d/.test(before),
      )
    }),
  )
})
