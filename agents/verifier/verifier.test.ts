import { createHash, createPublicKey, generateKeyPairSync, sign, verify as verifyByNode } from 'node:crypto'

import { etc, hash, hashes, Point, utils, verify as verifyByNoble } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { test } from 'tap'

import { parsePublicKeys } from './keys.ts'
import { isKeyText } from './open-keyring.ts'
import { messageOf, newDigest, newPair, onlyKey } from './test-kit.ts'
import { isSignatureValid, parseSignature, presumeSignature, verifySignature } from './verify.ts'

hashes.sha512 = sha512

// Data of RFC 8032, section 7.1: public key, message, signature of TEST 1, 2, 3 and SHA(abc).
const rfc8032 = [
  [
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
] as const

// The eight points whose order divides 8, in canonical form ("Taming the many EdDSAs", table 6a).
const order8 = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
const smallOrder = [
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  order8,
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
]
// y of p or more, and x = 0 with the sign bit (table 6b).
const notCanonical = [
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
  `01${'00'.repeat(30)}80`,
  `ec${'ff'.repeat(31)}`,
  'ff'.repeat(32),
]
const L = 2n ** 252n + 27742317777372353535851937790883648493n

const asKeyObject = (hex: string) =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') },
    format: 'jwk',
  })

await test('the vectors of RFC 8032 hold, and no longer with any one bit turned', async (t) => {
  for (const [publicKey, message, signature] of rfc8032) {
    const key = onlyKey(publicKey)
    const [text, bytes] = [Buffer.from(message, 'hex'), Buffer.from(signature, 'hex')]
    t.ok(isSignatureValid(text, bytes, key))
    for (const at of [0, 31, 32, 63]) {
      const turned = Buffer.from(bytes)
      turned[at] = (turned[at] ?? 0) ^ 1
      t.notOk(isSignatureValid(text, turned, key))
    }
    t.notOk(isSignatureValid(Buffer.concat([text, text, Buffer.from('x')]), bytes, key))
  }
})

await test('a forgery that libraries take under a key of small order finds no key to be verified with', async (t) => {
  const identity = smallOrder[0] ?? ''
  const forgery = Buffer.concat([Buffer.from(identity, 'hex'), Buffer.alloc(32)]) // R is the identity, S is 0
  const says = { noble: 0, node: 0 }
  for (let n = 0; n < 10; n++) {
    const message = messageOf(newDigest())
    if (verifyByNoble(forgery, message, Buffer.from(identity, 'hex'))) says.noble++
    if (verifyByNode(null, message, asKeyObject(identity), forgery)) says.node++
  }
  t.equal(says.noble, 10, 'noble by its default (ZIP215) says yes to any message')
  // OpenSSL 3.0 (Node 20) says yes each time, 3.5 (Node 26) no longer: the rule must not depend on it.
  t.comment(`node:crypto with OpenSSL ${process.versions.openssl} says yes to ${says.node} of 10`)
  t.throws(() => parsePublicKeys(identity, 'AETHER_PUBKEY'), {
    reason: 'key',
    detail: 'weak',
    message: /AETHER_PUBKEY.*make a new pair/,
  })
})

await test('keys of small order, of mixed order and not in canonical form are refused in every form they come in', async (t) => {
  const mixed = Point.fromHex(newPair().hex).add(Point.fromHex(order8)).toHex()
  const spki = (hex: string) => asKeyObject(hex).export({ type: 'spki', format: 'pem' })
  for (const hex of [...smallOrder, mixed])
    for (const text of [hex, Buffer.from(hex, 'hex').toString('base64'), spki(hex)])
      t.throws(() => parsePublicKeys(text, 'key'), { reason: 'key', detail: 'weak', message: /./ }, hex)
  for (const hex of notCanonical)
    for (const text of [hex, Buffer.from(hex, 'hex').toString('base64'), spki(hex)])
      t.throws(() => parsePublicKeys(text, 'key'), { reason: 'key', detail: 'malformed', message: /./ }, hex)
})

await test('a key is taken as hex, base64 or PEM, alone or with others', async (t) => {
  const [a, b, c] = [newPair(), newPair(), newPair()]
  for (const text of [
    a.hex,
    a.hex.toUpperCase(),
    a.base64,
    a.base64.replace('=', ''),
    a.raw.toString('base64url'),
    a.pem,
    `\n ${a.hex}\n`,
  ])
    t.same(onlyKey(text).raw, a.raw)
  t.match(onlyKey(a.hex).id, /^[0-9a-f]{16}$/)
  t.equal(onlyKey(a.pem).id, createHash('sha256').update(a.raw).digest('hex').slice(0, 16))
  t.strictSame(
    parsePublicKeys(`${a.hex}, ${b.base64}\n${c.hex}`, 'key').map((key) => key.id),
    [a, b, c].map((one) => onlyKey(one.hex).id),
  )
  t.equal(parsePublicKeys(`${a.pem}# a comment\n${b.pem}`, 'key').length, 2)
})

await test('what is no key says what is wrong', async (t) => {
  const { hex, pem, privateKey } = newPair()
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
  const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const rows: readonly [string, string, RegExp][] = [
    ['missing', '', /AETHER_PUBKEY is empty/],
    ['missing', ' ,\n', /is empty/],
    ['length', hex.slice(2), /31 bytes: an ed25519 public key has 32/],
    ['length', `${hex}00`, /33 bytes/],
    ['length', 'AAAz', /3 bytes/],
    ['malformed', '!!', /neither hex/],
    ['malformed', rsa, /not ed25519/],
    ['malformed', pem.replace(/^M.*/m, 'MCow'), /no public key/],
    ['malformed', privatePem, /private key/],
    ['malformed', `02${'00'.repeat(31)}`, /no point of the curve/],
  ]
  for (const [detail, text, says] of rows) {
    t.throws(() => parsePublicKeys(text, 'AETHER_PUBKEY'), { reason: 'key', detail, message: says })
    t.throws(() => parsePublicKeys(text, 'AETHER_PUBKEY'), { message: /^AETHER_PUBKEY/ })
  }
  t.strictSame(['/etc/keys', './keys', '../keys', hex, pem, `/${'A'.repeat(42)}=`].map(isKeyText), [
    false,
    false,
    false,
    true,
    true,
    true,
  ])
})

await test('noble and node:crypto agree on many signatures, good and mutated', async (t) => {
  const counts = { both: 0, none: 0 }
  for (let n = 0; n < 300; n++) {
    const pair = newPair()
    const digest = newDigest()
    const signature = sign(null, messageOf(digest), pair.privateKey)
    const changed = n % 3 === 0 ? signature : mutate(signature, n)
    const byNode = verifyByNode(null, messageOf(digest), asKeyObject(pair.hex), changed)
    const byNoble = orFalse(() => verifyByNoble(changed, messageOf(digest), pair.raw, { zip215: false }))
    if (byNode !== byNoble) t.fail(`they differ on ${changed.toString('hex')} under ${pair.hex}`)
    if (isSignatureValid(messageOf(digest), changed, onlyKey(pair.hex)) !== byNode) t.fail('ours differs')
    counts[byNode ? 'both' : 'none']++
  }
  t.strictSame(counts, { both: 100, none: 200 })
})

await test('a signature holds where both say so, whatever its R is', (t) => {
  const { privateKey, hex, raw } = newPair()
  const says = { yes: 0, no: 0 }
  const message = messageOf(newDigest())
  const { scalar } = utils.getExtendedPublicKey(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
  const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`)
  /** S for an R of our own, of which the part without torsion is the base times `r`. */
  const signed = (written: Uint8Array, r: bigint) => {
    const s = etc.mod(r + number(hash(etc.concatBytes(written, raw, message))) * scalar, L)
    return Buffer.concat([written, Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed()])
  }
  const all = [signed(Point.BASE.multiply(5n).toBytes(), 5n)]
  all.push(signed(Point.BASE.multiply(5n).add(Point.fromHex(order8)).toBytes(), 5n)) // [8] takes the torsion away
  for (const text of [...smallOrder, ...notCanonical]) all.push(signed(Buffer.from(text, 'hex'), 0n))
  for (const signature of all) {
    const byNoble = orFalse(() => verifyByNoble(signature, message, raw, { zip215: false }))
    says[byNoble ? 'yes' : 'no']++
    const byBoth = byNoble && verifyByNode(null, message, asKeyObject(hex), signature)
    t.equal(isSignatureValid(message, signature, onlyKey(hex)), byBoth)
  }
  t.ok(says.yes >= 2 && says.no >= notCanonical.length)
  t.end()
})

await test('what node:crypto alone says yes to is presumed, and confirmed by nobody', (t) => {
  const [a, b] = [newPair(), newPair()]
  const digest = newDigest()
  const signature = sign(null, messageOf(digest), a.privateKey)
  // No signature is known on which the two differ under a key that may be trusted: so a key of two halves.
  const torn = { ...onlyKey(b.hex), keyObject: onlyKey(a.hex).keyObject }
  const wrong = { reason: 'signature', detail: 'invalid', message: /under any key in force/ }
  t.throws(() => presumeSignature(digest, signature, [torn]).confirm(), wrong)
  t.throws(() => presumeSignature(digest, signature, [onlyKey(b.hex)]), wrong)
  t.equal(presumeSignature(digest, signature, [torn, onlyKey(a.hex)]).confirm().id, onlyKey(a.hex).id)
  t.end()
})

await test('a signature with S of L or more is refused: it would be a second one for the same digest', async (t) => {
  const { privateKey, hex } = newPair()
  const digest = newDigest()
  const signature = sign(null, messageOf(digest), privateKey)
  const s = BigInt(`0x${Buffer.from(signature.subarray(32).toReversed()).toString('hex')}`)
  for (const more of [s + L, s + 2n * L, L, L - s]) {
    const bytes = Buffer.from(more.toString(16).padStart(64, '0'), 'hex').toReversed()
    t.notOk(isSignatureValid(messageOf(digest), Buffer.concat([signature.subarray(0, 32), bytes]), onlyKey(hex)))
  }
  t.notOk(isSignatureValid(messageOf(digest), signature.subarray(1), onlyKey(hex)))
  t.notOk(isSignatureValid(messageOf(digest), Buffer.alloc(0), onlyKey(hex)))
  t.notOk(isSignatureValid(messageOf(digest), Buffer.concat([signature, signature]), onlyKey(hex)))
})

await test('a signature is 64 bytes as hex or base64, and any key in force may have made it', async (t) => {
  const [a, b] = [newPair(), newPair()]
  const digest = newDigest()
  const signature = sign(null, messageOf(digest), b.privateKey)
  const keys = parsePublicKeys(`${a.hex} ${b.hex}`, 'key')
  for (const form of ['hex', 'base64', 'base64url'] as const)
    t.equal(
      verifySignature(digest, parseSignature(` ${signature.toString(form)}\n`, 'sig'), keys).id,
      onlyKey(b.hex).id,
    )
  t.throws(() => verifySignature(newDigest(), signature, keys), {
    reason: 'signature',
    detail: 'invalid',
    message: /./,
  })
  t.throws(() => verifySignature(digest, signature, parsePublicKeys(a.hex, 'key')), { detail: 'invalid', message: /./ })
  const hex = signature.toString('hex')
  for (const wrong of ['', 'zz', '!', hex.slice(1), `${hex}0`, `${hex}00`, `${hex} ${hex}`, `0x${hex}`, 'dsse:e30'])
    t.throws(
      () => parseSignature(wrong, 'sig'),
      { reason: 'signature', detail: 'malformed', message: /^sig is/ },
      wrong,
    )
})

function mutate(signature: Buffer, seed: number): Buffer {
  const changed = Buffer.from(signature)
  const at = (seed * 7) % 64
  changed[at] = (changed[at] ?? 0) ^ (1 << (seed % 8))
  return changed
}

function orFalse(verify: () => boolean): boolean {
  try {
    return verify()
  } catch {
    return false
  }
}
