import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { addressCheck, checkedLookup, refuseAddress } from '../../lib/net/refused-addresses.ts'
import { SetupError, UnreachableError } from '../../lib/net/errors.ts'
import { errorText } from '../support/texts/matches-text.ts'

const isRefused = (url: string, networks?: string): boolean => {
  try {
    refuseAddress(new URL(url), addressCheck(networks))
    return false
  } catch (error) {
    assert.ok(error instanceof UnreachableError)
    return true
  }
}

test('refuseAddress() refuses metadata services and link-local addresses, however they are written', () => {
  const refused = [
    'http://169.254.169.254/latest/meta-data',
    'https://169.254.170.2',
    'http://[fe80::1]:9090',
    'http://[febf::1]',
    'http://[fd00:ec2::254]',
    'http://[fd20:ce::254]',
    'http://168.63.129.16',
    'http://100.100.100.200',
    'http://192.0.0.192',
    'http://0.0.0.0',
    'http://[::]',
    'http://224.0.0.1',
    'http://255.255.255.255',
    'http://2852039166', // the next four are 169.254.169.254, too
    'http://0xA9.0xFE.0xA9.0xFE',
    'http://[::ffff:169.254.169.254]',
    'http://[64:ff9b::a9fe:a9fe]',
    'http://[64:ff9b:1::a9fe:a9fe]',
    'http://[64:ff9b:1:fffe::a9fe:a9fe]',
    'http://[2002:a9fe:a9fe::1]',
    'http://[::a9fe:a9fe]',
    'http://[::169.254.169.254]',
    'http://[::ffff:0:169.254.169.254]',
    'http://[2001:0:a9fe:a9fe::1]', // by Teredo, and the next with each bit turned, as it has those of clients
    'http://[2001:0:808:808::5601:5601]',
    'http://[2001:db8::5efe:169.254.169.254]',
    'http://[2001:db8:1:2:200:5efe:a9fe:a9fe]',
    'http://[fd00::5efe:6464:64c8]',
    'http://[::5efe:a9fe:a9fe]',
    'http://[fe80::5efe:10.1.2.3]',
  ]
  for (const url of refused) assert.ok(isRefused(url), url)
  const allowed = [
    'http://[::1]:9090',
    'http://127.0.0.1',
    'http://[::1]',
    'https://10.1.2.3',
    'https://203.0.113.9',
    'https://[2001:db8::1]',
    'https://[2001:1::1]',
    'https://[2001:db8::5efe:10.1.2.3]',
    'https://[2001:db8::1200:5efe:a9fe:a9fe]',
    'https://[2001:db8::5efe:a9fe:a9fe:1]',
    'https://metadata.google.internal',
  ]
  for (const url of allowed) assert.ok(!isRefused(url), url)
})

test('refuseAddress() refuses all but the networks that are configured, and nothing in them', () => {
  const networks = '10.0.0.0/8,169.254.169.254 fd00::/8'
  for (const url of [
    'http://10.9.8.7',
    'http://169.254.169.254',
    'http://[fd00::7]',
    'http://[::ffff:10.0.0.1]',
    'http://a.name',
  ])
    assert.ok(!isRefused(url, networks), url)
  for (const url of ['http://11.0.0.1', 'http://127.0.0.1', 'http://169.254.169.253', 'http://[fe80::7]'])
    assert.ok(isRefused(url, networks), url)
  assert.throws(
    () => refuseAddress(new URL('https://192.0.2.1'), addressCheck('10.0.0.0/8')),
    errorText({ kind: 'configuration', hint: 'if it is meant, name its network in CIPHERTRAIL_ALLOWED_NETWORKS' }),
  )
})

test('addressCheck() sees what stands behind the zone of an address', () => {
  const check = addressCheck(undefined)
  for (const address of ['fe80::1%eth0', '2001:db8::5efe:a9fe:a9fe%1', '::ffff:169.254.169.254%1'])
    assert.notEqual(check(address), undefined, address)
  assert.equal(check('2001:db8::1%eth0'), undefined)
})

test('addressCheck() refuses what is no list of networks', () => {
  for (const networks of [
    '10.0.0.0/33',
    '10.0.0/8',
    'example.com',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fd00::/129',
    '10.0.0.0/1e1',
  ])
    assert.throws(() => addressCheck(networks), SetupError, networks)
  assert.throws(() => addressCheck('10.0.0.0/8;\u001b[2J'), errorText())
})

test('an IPv4 address is refused in each of its writings, or in none', () => {
  const check = addressCheck(undefined)
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom('169.254.', '100.100.', ''), (address, prefix) => {
      const [a, b, c, d] = (prefix + address).split('.').map(Number)
      const bytes = [a, b, c, d].map((byte) => byte ?? 0)
      const dotted = bytes.join('.')
      const pair = (high = 0, low = 0): string => (high * 256 + low).toString(16)
      const hex = `${pair(bytes[0], bytes[1])}:${pair(bytes[2], bytes[3])}`
      const said = check(dotted)
      for (const writing of [`::ffff:${dotted}`, `::ffff:${hex}`, `64:ff9b::${hex}`])
        assert.equal(check(writing), said, writing)
      const isPrivate = bytes[0] === 10 || bytes[0] === 127
      assert.ok(!isPrivate || said === undefined)
    }),
  )
})

test('checkedLookup() looks at what a name leads to when it is resolved', async () => {
  const resolve = (networks: string | undefined, all: boolean): Promise<unknown> =>
    promisify(checkedLookup(addressCheck(networks)))('localhost', { all, family: 4 })
  assert.deepEqual(await resolve(undefined, true), [{ address: '127.0.0.1', family: 4 }])
  assert.equal(await resolve('127.0.0.0/8', false), '127.0.0.1')
  for (const all of [true, false])
    await assert.rejects(resolve('10.0.0.0/8', all), {
      name: 'UnreachableError',
      message: 'the address 127.0.0.1 of "localhost" is refused, it is outside CIPHERTRAIL_ALLOWED_NETWORKS',
    })
})
