/** Addresses of networks, as the API server's own IP and CIDR libraries read them. */
import type { TString } from 'typebox'
import { text } from './base.ts'
import { type Rule, rule } from './cel.ts'

/** The longest way of writing an IPv6 address, with the prefix length of a network. */
const longestAddress = 45
const longestCIDR = 49

export type Family = 4 | 6

const addressRule = (family: Family): Rule =>
  rule(`isIP(self) && ip(self).family() == ${family}`, `must be an IPv${family} address`)

export const ipAddressOf = (family: Family, description: string): TString =>
  text(description, { max: longestAddress, rules: [addressRule(family)] })

export const ipAddress = (description: string): TString =>
  text(description, { max: longestAddress, rules: [rule('isIP(self)', 'must be an IPv4 or IPv6 address')] })

/** One way of writing it: what is compared as text. */
export const canonicalAddress = (description: string): TString =>
  text(description, {
    max: longestAddress,
    rules: [rule('isIP(self) && ip.isCanonical(self)', 'must be an IPv4 or IPv6 address in its canonical form')],
  })

const examples = { 4: '192.0.2.10/24', 6: '2001:db8::10/64' } as const

/** An address with the length of its network's prefix. */
export const cidrOf = (family: Family, description: string): TString =>
  text(description, {
    max: longestCIDR,
    rules: [
      rule(
        `isCIDR(self) && cidr(self).ip().family() == ${family}`,
        `must be an IPv${family} address with its prefix length, for example ${examples[family]}`,
      ),
    ],
  })

/** A network: no bit is set behind the prefix. */
export const subnetOf = (family: Family, description: string): TString =>
  text(description, {
    max: longestCIDR,
    rules: [
      rule(
        `isCIDR(self) && cidr(self).ip().family() == ${family} && cidr(self) == cidr(self).masked()`,
        `must be an IPv${family} network with its prefix length, for example ${family === 4 ? '192.0.2.0/24' : '2001:db8::/64'}`,
      ),
    ],
  })

export const cidr = (description: string): TString =>
  text(description, {
    max: longestCIDR,
    rules: [rule('isCIDR(self)', 'must be a network with its prefix length, for example 192.0.2.0/24')],
  })

export const domainName = (description: string): TString =>
  text(description, {
    min: 1,
    max: 253,
    rules: [
      rule(
        "self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$')",
        'must be a domain name in lower case: labels of at most 63 letters, digits and hyphens, joined by dots',
      ),
    ],
  })
