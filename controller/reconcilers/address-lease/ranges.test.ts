import { describe, expect, it, test } from '@jest/globals'
import fc from 'fast-check'
import { formatAddress, parseAddress } from '../../api/index.ts'
import { aNetwork } from '../testing/lab.ts'
import { candidates } from './choose.ts'
import { addressAt, isForNobody, isInRanges, type Ranges, rangesOf, rangesProblem, totalOf } from './ranges.ts'

const attachments = [{ hypervisor: '*', libvirtNetwork: 'default' }]
const range = (first: string, last: string) => ({ first, last })
const withRanges = (name: string, subnet: string, ranges: object[], gateway?: string, family: 4 | 6 = 4) =>
  aNetwork(name, {
    attachments,
    [`ipv${family}`]: { method: 'FromRanges', subnet, ranges, ...(gateway === undefined ? {} : { gateway }) },
  })

function ranges(subnet: string, list: object[], gateway?: string, family: 4 | 6 = 4): Ranges {
  const found = rangesOf(withRanges('lan', subnet, list, gateway, family), family)
  if (!found) throw new Error('no ranges')
  return found
}
const texts = (of: Ranges, who = 'team/web/eth0') => [...candidates(of, who)].map(formatAddress)

describe('ranges of a Network', () => {
  test.each([
    ['that are in order', [range('192.0.2.10', '192.0.2.20'), range('192.0.2.21', '192.0.2.21')], undefined],
    ['one that ends before it begins', [range('192.0.2.20', '192.0.2.10')], 'RangesInvalid'],
    [
      'two that have an address in common',
      [range('192.0.2.10', '192.0.2.20'), range('192.0.2.20', '192.0.2.30')],
      'RangesOverlap',
    ],
  ])('%s', (_, list, code) => {
    expect(rangesProblem(withRanges('lan', '192.0.2.0/24', list), [])?.code).toBe(code)
  })

  test.each([
    ['of the same addresses', '192.0.2.0/24', [range('192.0.2.20', '192.0.2.40')], 'RangesOverlap'],
    ['of a larger subnet around it', '192.0.0.0/16', [range('192.0.0.1', '192.0.255.0')], 'RangesOverlap'],
    ['of the same subnet, with other addresses', '192.0.2.0/24', [range('192.0.2.21', '192.0.2.40')], undefined],
  ])('beside a Network %s', (_, subnet, list, code) => {
    const [one, other] = [
      withRanges('lan', '192.0.2.0/24', [range('192.0.2.10', '192.0.2.20')]),
      withRanges('dmz', subnet, list),
    ]
    expect(rangesProblem(one, [other])?.code).toBe(code)
    // Whichever is asked, so that neither gives what is the other's.
    expect(rangesProblem(other, [one])?.code).toBe(code)
    if (code) expect(rangesProblem(one, [other])?.message).toContain('Network dmz')
  })

  it('may hold 65536 addresses, and no more', () => {
    const most = (last: string) => withRanges('lan', '10.0.0.0/8', [range('10.1.0.0', last)])
    expect(rangesProblem(most('10.1.255.255'), [])).toBeUndefined()
    expect(rangesProblem(most('10.2.0.0'), [])).toMatchObject({ code: 'RangesInvalid' })
    const huge = withRanges('lan', '2001:db8::/32', [range('2001:db8::1', '2001:db8:ffff::')], undefined, 6)
    expect(rangesProblem(huge, [])).toMatchObject({ code: 'RangesInvalid' })
  })
})

describe('candidates', () => {
  it('are every address once, but those of the router, of the network and of its broadcast', () => {
    const whole = ranges('192.0.2.0/28', [range('192.0.2.0', '192.0.2.15')], '192.0.2.1')
    const wanted = Array.from({ length: 13 }, (_, index) => `192.0.2.${index + 2}`)
    expect(texts(whole).toSorted()).toEqual(wanted.toSorted())
    expect(totalOf(whole)).toBe(13)
  })

  it('are the same for a machine that is made anew, and begin elsewhere for another', () => {
    const of = ranges('10.0.0.0/16', [range('10.0.1.0', '10.0.200.0')])
    expect(texts(of)).toEqual(texts(of))
    const firsts = Array.from({ length: 50 }, (_, index) => texts(of, `team/web-${index}/eth0`)[0])
    expect(new Set(firsts).size).toBeGreaterThan(45)
  })

  it('have IPv6 addresses of ranges within a /64, without the one of all routers', () => {
    const of = ranges('2001:db8::/64', [range('2001:db8::', '2001:db8::3')], '2001:db8::1', 6)
    expect(texts(of).toSorted()).toEqual(['2001:db8::2', '2001:db8::3'])
  })

  it('of any ranges are those that can be given, each once', () => {
    const made = fc
      .array(fc.tuple(fc.nat(255), fc.nat(40)), { minLength: 1, maxLength: 4 })
      .map((parts) =>
        parts.reduce<{ at: number; list: { first: string; last: string }[] }>(
          ({ at, list }, [gap, length]) => {
            const [first, last] = [at + (gap % 20), at + (gap % 20) + length]
            if (last > 255) return { at, list }
            return { at: last + 1, list: [...list, range(`192.0.2.${first}`, `192.0.2.${last}`)] }
          },
          { at: 0, list: [] },
        ),
      )
      .filter(({ list }) => list.length > 0)
    fc.assert(
      fc.property(made, fc.nat(255), fc.string(), ({ list }, router, who) => {
        const of = ranges('192.0.2.0/24', list, `192.0.2.${router}`)
        const given = texts(of, who)
        expect(new Set(given).size).toBe(given.length)
        expect(given.length).toBe(totalOf(of))
        for (const text of given) {
          const address = parseAddress(text)
          expect(address && isInRanges(of, address) && !isForNobody(of, address)).toBe(true)
        }
      }),
    )
  })

  it('fill 65536 places in a number of looks that does not grow with their square', () => {
    const of = ranges('10.0.0.0/8', [range('10.1.0.0', '10.1.255.255')])
    const taken = new Set<bigint>()
    let looks = 0
    for (let machine = 0; machine < 65_536; machine++) {
      for (const { value } of candidates(of, `team/web-${machine}/eth0`)) {
        looks++
        if (taken.has(value)) continue
        taken.add(value)
        break
      }
    }
    expect(taken.size).toBe(65_536)
    // n times the logarithm of n; a search from the start would look 2^31 times.
    expect(looks).toBeLessThan(2 ** 21)
  })

  it('have each place', () => {
    const of = ranges('192.0.2.0/24', [range('192.0.2.10', '192.0.2.11'), range('192.0.2.30', '192.0.2.30')])
    expect([0, 1, 2].map((place) => formatAddress(addressAt(of, place)))).toEqual([
      '192.0.2.10',
      '192.0.2.11',
      '192.0.2.30',
    ])
  })
})

/** Two processes that believe to lead, each a step at a time, over a store that creates a name once. */
it('no address is given twice, however two allocators take turns, and a full range is full for both', () => {
  const of = ranges('192.0.2.0/28', [range('192.0.2.1', '192.0.2.6')])
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 200, maxLength: 400 }),
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 9 }),
      (turns, machines) => {
        const store = new Map<string, string>()
        const answers = new Map<string, string | undefined>()
        function* allocator(mine: readonly string[]): Generator<void, void> {
          for (const who of mine) {
            let got: string | undefined
            for (const address of candidates(of, who)) {
              const name = formatAddress(address)
              // The cache of each may be behind: what it shows to be free is only tried.
              yield
              if (store.has(name)) continue
              store.set(name, who)
              got = name
              break
            }
            answers.set(who, got)
          }
        }
        const half = Math.ceil(machines.length / 2)
        const both = [allocator(machines.slice(0, half)), allocator(machines.slice(half))]
        for (const turn of turns) both[turn ? 0 : 1]?.next()
        for (const one of both) while (!one.next().done);
        const given = [...answers.values()].filter((address) => address !== undefined)
        expect(new Set(given).size).toBe(given.length)
        expect(given).toHaveLength(Math.min(machines.length, 6))
      },
    ),
  )
})
