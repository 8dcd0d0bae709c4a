import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)

/** Iterations that a server may ask for: more would only keep us busy. */
const maxIterations = 1_000_000
/** RFC 7677, section 4. */
const minIterations = 4_096

/** The server does not follow SCRAM, or cannot prove that it knows the password. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

const hashes: Readonly<Record<string, string>> = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-1': 'sha1' }

/**
 * The client's side of SCRAM (RFC 5802, RFC 7677) without channel binding: the password is never sent, and the server
 * has to prove that it knows it.
 */
export class Scram {
  readonly #hash: string
  readonly #password: string
  readonly #firstBare: string
  readonly #nonce: string
  #serverSignature: Buffer | undefined

  /** @param nonce For tests alone. */
  constructor(mechanism: string, username: string, password: string, nonce = randomBytes(24).toString('base64')) {
    const hash = hashes[mechanism]
    if (hash === undefined) throw new TypeError(`not SCRAM: ${mechanism}`)
    this.#hash = hash
    this.#password = prepare(password)
    this.#nonce = nonce
    this.#firstBare = `n=${prepare(username).replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  }

  get first(): Buffer {
    return Buffer.from(`n,,${this.#firstBare}`)
  }

  /** The answer to the server's first message. @throws ScramError */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const text = serverFirst.toString('utf8')
    const [, nonce = '', salt = '', count = ''] = /^r=([^,]+),s=([^,]+),i=([1-9]\d{0,8})(?:,|$)/.exec(text) ?? []
    const iterations = Number(count)
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw new ScramError('a nonce that is not ours')
    if (iterations < minIterations || iterations > maxIterations) throw new ScramError(`${count} iterations`)
    const salted = await derive(
      this.#password,
      Buffer.from(salt, 'base64'),
      iterations,
      this.#digest().length,
      this.#hash,
    )
    const withoutProof = `c=${Buffer.from('n,,').toString('base64')},r=${nonce}`
    const signed = `${this.#firstBare},${text},${withoutProof}`
    const clientKey = this.#hmac(salted, 'Client Key')
    const signature = this.#hmac(this.#digest(clientKey), signed)
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
    this.#serverSignature = this.#hmac(this.#hmac(salted, 'Server Key'), signed)
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  /** Checks the server's proof. @throws ScramError */
  verify(serverFinal: Buffer): void {
    const [, proof = ''] = /^v=([^,]+)/.exec(serverFinal.toString('utf8')) ?? []
    const shown = Buffer.from(proof, 'base64')
    const expected = this.#serverSignature
    if (expected === undefined || shown.length !== expected.length || !timingSafeEqual(shown, expected)) {
      throw new ScramError('the server does not prove that it knows the password')
    }
  }

  #hmac(key: Buffer, data: string): Buffer {
    return createHmac(this.#hash, key).update(data).digest()
  }

  #digest(data: Buffer = Buffer.alloc(0)): Buffer {
    return createHash(this.#hash).update(data).digest()
  }
}

/** SASLprep (RFC 4013) as far as names and passwords of today need it: compatible characters are the same. */
const prepare = (text: string): string => text.normalize('NFKC')
