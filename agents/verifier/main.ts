// ed25519-verify: the digest's 64 hex characters on stdin, the signature as argument. Exit 0 valid, 1 invalid, 2 usage.
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { digestFromHex } from '@aether/contract/digest'
import { exitCodes } from '@aether/contract/exit-codes'
import { ReasonError } from '@aether/contract/reasons'
import { createKeyring } from './keyring.ts'
import { parseSignature, verifySignature } from './verify.ts'

const usage = `usage: printf %s DIGEST_HEX | ed25519-verify [--key KEY] SIGNATURE

Verifies an ed25519 signature over the 64 hex characters of a sha256 digest.
  --key KEY, AETHER_PUBKEY   public key(s): hex, base64, PEM, or the path of a file or folder of keys
  SIGNATURE                  64 bytes as hex or base64
Exit codes: 0 it holds, 1 it does not, 2 wrong usage.
`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { key: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  })
  if (values.help) {
    process.stdout.write(usage)
    return exitCodes.ok
  }
  const setting = values.key ?? process.env.AETHER_PUBKEY
  const [signature, ...more] = positionals
  if (setting === undefined || signature === undefined || more.length > 0)
    throw new TypeError('a key and one signature are needed')
  const { keys } = await createKeyring(setting, values.key === undefined ? 'AETHER_PUBKEY' : '--key').load()
  const digest = digestFromHex((await text(process.stdin)).trim().replace(/^sha256:/, ''), 'stdin')
  const key = verifySignature(digest, parseSignature(signature, 'SIGNATURE'), keys)
  process.stdout.write(`valid under key ${key.id}\n`)
  return exitCodes.ok
}

function fail(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error)
  const invalid = error instanceof ReasonError && error.reason === 'signature'
  process.stderr.write(`ed25519-verify: ${message}\n${invalid || error instanceof ReasonError ? '' : usage}`)
  return invalid ? exitCodes.failed : exitCodes.usage
}

process.exitCode = exitCodes.failed // until it says otherwise
void main()
  .catch(fail)
  .then((code) => {
    process.exitCode = code
  })
