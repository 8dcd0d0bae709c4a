import { type Clock, systemClock } from './clock.ts'
import { PoolControl } from './control.ts'
import { type Certificate, MemberServer } from './http/member.ts'
import { Pool } from './state/pool.ts'
import { furnish, type HostDescription, type NetworkDescription, type SrDescription } from './world.ts'

export interface PoolDescription {
  readonly name: string
  /** How many hosts, the first of which is the master: 1 unless said. */
  readonly members?: number
  /** The first is the pool's default. One shared `ext` SR unless said. */
  readonly srs?: readonly SrDescription[]
  /** One unless said. */
  readonly networks?: readonly NetworkDescription[]
  readonly host?: HostDescription
  readonly user: string
  readonly password: string
}

export interface SimulatorOptions {
  readonly pools: readonly PoolDescription[]
  /** HTTPS with these certificates; plain HTTP unless said. */
  readonly tls?: {
    /** PEM, handed on to whoever is to trust it. */
    readonly certificateAuthority: string
    /** The certificate of a member, by its IPv4 address. */
    readonly certificateFor: (address: string) => Certificate | Promise<Certificate>
  }
  readonly clock?: Clock
  /** Milliseconds after which a session that was not used is gone: 24 h, as in xapi, unless said. */
  readonly sessionTimeout?: number
}

export interface RunningPool {
  readonly name: string
  /** The members' addresses, the first master's first. */
  readonly urls: readonly string[]
  /** PEM; undefined without TLS. */
  readonly certificateAuthority: string | undefined
  readonly control: PoolControl
}

export interface Simulator {
  readonly pools: readonly RunningPool[]
  stop(): Promise<void>
}

/**
 * Starts pools of simulated hosts on loopback addresses: member m of pool p is 127.0.p.m, counted from 0 and from 1.
 * The members of a pool have one port, chosen by the system, as real hosts all have 443.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const started: MemberServer[] = []
  try {
    const pools: RunningPool[] = []
    for (const [index, description] of options.pools.entries()) {
      const pool = new Pool({
        user: description.user,
        password: description.password,
        clock: options.clock ?? systemClock,
        sessionTimeout: options.sessionTimeout ?? 24 * 60 * 60 * 1000,
      })
      const addresses = Array.from({ length: description.members ?? 1 }, (_, member) => `127.0.${index}.${member + 1}`)
      const members = furnish(pool, description.name, addresses, {
        srs: description.srs ?? [{ name: 'Default storage' }],
        networks: description.networks ?? [{ name: 'Default network' }],
        host: description.host ?? {},
      })
      const servers = await Promise.all(
        members.map(
          async (member) => new MemberServer(pool, member, await options.tls?.certificateFor(member.address)),
        ),
      )
      await listen(servers, started)
      pools.push({
        name: description.name,
        urls: servers.map(({ url }) => url),
        certificateAuthority: options.tls?.certificateAuthority,
        control: new PoolControl(pool, servers),
      })
    }
    return { pools, stop: () => stopAll(started) }
  } catch (error) {
    await stopAll(started)
    throw error
  }
}

/** Has all servers listen on one port that is free on each of their addresses. */
async function listen(servers: readonly MemberServer[], started: MemberServer[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      for (const server of servers) await server.start(servers[0] === server ? 0 : servers[0]?.port)
      started.push(...servers)
      return
    } catch (error) {
      await stopAll(servers)
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (!taken || attempt === 20) throw error
    }
  }
}

async function stopAll(servers: readonly MemberServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()))
}
