import type { Decoder } from '../protocol/xdr.ts'

/** A stream packet, at its payload. */
export interface Packet {
  readonly procedure: number
  readonly serial: number
  readonly status: number
  readonly payload: Decoder
}

/** What a packet counts beside its data, so that empty ones have a limit too. */
const packetCost = 1_024

/**
 * Packets of a stream that come before the answer of the call that opens it. libvirtd opens the stream in one thread,
 * which then answers, and sends from another: a small download may be there as a whole first (seen with 9.0).
 */
export class EarlyPackets {
  readonly #limit: number
  #packets: Packet[] = []
  #size = 0

  /** @param limit Bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Answers whether there was room. */
  hold(packet: Packet): boolean {
    this.#size += packet.payload.remaining + packetCost
    if (this.#size > this.#limit) return false
    this.#packets.push(packet)
    return true
  }

  /** All packets in their order. */
  take(): readonly Packet[] {
    const packets = this.#packets
    this.#packets = []
    return packets
  }
}
