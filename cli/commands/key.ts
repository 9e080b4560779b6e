import type { Command } from 'commander'
import { createKeyFile } from '../../lib/seal/key/key-file.ts'
import type { Console } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { addSignerOptions, keyFileOf, openSigner, readOrigin, type SignerOptions } from '../signer.ts'

/** Adds `ciphertrail key new|show`. */
export function addKeyCommands(program: Command, console: Console): void {
  const key = program
    .command('key')
    .summary('make the key that signs the log, and show its public half')
    .description(
      'Makes the key that signs the log. Its public half checks the log: give it to whoever is to check, on another way than the store.',
    )
    .addHelpText('after', '\nExamples:\n  ciphertrail key new example.com/ciphertrail\n  ciphertrail key show')

  key
    .command('new')
    .summary('make a key in a file that only its owner may read')
    .argument('<name>', 'the name of the log: an address without "https://", such as example.com/ciphertrail')
    .option('--key <file>', 'where (default CIPHERTRAIL_KEY, else beside the store: <store>.key)')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail key new example.com/ciphertrail\n\nA key that exists is never replaced.',
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<SignerOptions & { readonly json?: boolean }>()
      const origin = readOrigin(name)
      const file = keyFileOf(options, console)
      const vkey = await createKeyFile(file, origin)
      if (options.json === true) console.out(toJson({ file, vkey }))
      else {
        console.out(vkey)
        console.err(
          `Key made in "${file}": keep it secret, and keep a copy, since no other key can go on with its log. The line above is public: it checks the log.`,
        )
      }
    })

  addSignerOptions(key.command('show').summary('show the public half of the key').option('--json', 'one JSON object'))
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail key show\n  ciphertrail key show \\\n      --kms-key arn:aws:kms:eu-central-1:111122223333:key/1234abcd \\\n      --name example.com/ciphertrail',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<SignerOptions & { readonly json?: boolean }>()
      const { vkey } = await openSigner(options, console)
      console.out(options.json === true ? toJson({ vkey }) : vkey)
    })
}
