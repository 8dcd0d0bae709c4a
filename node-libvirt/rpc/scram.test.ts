import { describe, expect, it } from '@jest/globals'
import { Scram, ScramError } from './scram.ts'

const first = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
const scram = () => new Scram('SCRAM-SHA-256', 'user', 'pencil', 'rOprNGfwEbeRWgbNEkqO')

describe('SCRAM', () => {
  it('sends and accepts what RFC 7677 gives as its example', async () => {
    const client = scram()
    expect(client.first.toString()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    expect((await client.final(Buffer.from(first))).toString()).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    client.verify(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
  })

  it('is that of RFC 5802 with SHA-1', async () => {
    const client = new Scram('SCRAM-SHA-1', 'user', 'pencil', 'fyko+d2lbbFgONRv9qkxdawL')
    const server = 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096'
    expect((await client.final(Buffer.from(server))).toString()).toMatch(/,p=v0X8v3Bz2T0CJGbJQyF0X\+HI4Ts=$/)
    client.verify(Buffer.from('v=rmF9pqV8S7suAoZWja4dJRkFsKQ='))
  })

  it('escapes names, and makes a nonce of its own each time', () => {
    const message = () => new Scram('SCRAM-SHA-256', 'a=b,c', 'x').first.toString()
    expect(message()).toMatch(/^n,,n=a=3Db=2Cc,r=.{32}$/)
    expect(message()).not.toBe(message())
  })

  it.each([
    ['a nonce that does not begin with ours', first.replace('r=r', 'r=s')],
    ['our nonce and nothing of its own', 'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
    ['too few iterations to protect the password', first.replace('4096', '1')],
    ['so many that they only keep us busy', first.replace('4096', '999999999')],
    ['something else', 'e=other-error'],
    ['nothing', ''],
  ])('ends when the server sends %s', async (_what, message) => {
    await expect(scram().final(Buffer.from(message))).rejects.toThrow(ScramError)
  })

  it.each(['', 'v=', 'v=AAAA', 'e=invalid-proof', 'v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='])(
    'does not believe a server that shows %j',
    async (message) => {
      const client = scram()
      await client.final(Buffer.from(first))
      expect(() => client.verify(Buffer.from(message))).toThrow(ScramError)
    },
  )

  it('does not believe a server that shows anything before it was asked', () => {
    expect(() => scram().verify(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))).toThrow(ScramError)
  })
})
