/** A file into a volume: by virsh, by node-libvirt, and as the controller places an image. */
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pino } from 'pino'
import { libvirtDriver } from '../../../controller/drivers/libvirt/index.ts'
import { guarded, limited, observed } from '../../../controller/hypervisor/wrap.ts'
import { startImageServer } from '../../../hack/lab/image-server.ts'
import { until } from '../../../hack/lab/wait.ts'
import { runDirectory } from '../../../hack/setup/directories.mjs'
import { createImageService, type ImageService } from '../../../images/index.ts'
import type { BenchResult, Figure } from '../figures.ts'
import { type Host, startHost, type Way, ways } from './host.ts'

const MiB = 2 ** 20
const size = 128 * MiB
const rounds = 5

export async function benchUpload(tell: (text: string) => void): Promise<BenchResult> {
  await using host = await startHost()
  const directory = mkdtempSync(join(runDirectory, 'bench-'))
  const file = join(directory, 'image')
  await pipeline(Readable.from(random()), createWriteStream(file))
  const service = await serviceWith(file, directory)
  try {
    const figures: Figure[] = []
    for (const way of ways) {
      const clients = await clientsOf(host, way, file, service)
      const rates = new Map<string, number[]>(clients.map(({ name }) => [name, []]))
      for (let round = 0; round < rounds; round++) {
        // Turn about, so that none is always the one after another's writing back.
        for (const { name, upload } of turned(clients, round)) {
          const volume = `${name.replaceAll(' ', '-')}-${round}`
          rates.get(name)?.push(await upload(volume))
          await host.hypervisor.run('sync', [])
        }
      }
      for (const { close } of clients) await close?.()
      const reference = { what: 'virsh vol-upload', values: rates.get('virsh') ?? [] }
      for (const [name, values] of rates) {
        tell(`${way} ${name}: ${values.map(Math.round).join(', ')} MiB/s`)
        if (name === 'virsh') continue
        figures.push({ what: `${name}, ${way}`, unit: 'MiB/s', values, reference, ratioGoal: { atLeast: 0.95 } })
      }
    }
    return { bench: 'upload', title: `A file of ${size / MiB} MiB to one libvirt daemon`, figures }
  } finally {
    await service.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Client {
  readonly name: string
  /** Into a new volume, which is removed again. Answers with MiB a second. */
  upload(volume: string): Promise<number>
  close?(): Promise<void>
}

async function clientsOf(host: Host, way: Way, file: string, service: StoredFile): Promise<Client[]> {
  const { hypervisor } = host
  const { poolName } = hypervisor
  const connection = await host.connect(way)
  const pool = await connection.lookupStoragePoolByName(poolName)
  const { pki, tlsUri, uri } = hypervisor
  const credentials = {
    clientCertificate: readFileSync(pki.clientCertificate, 'utf8'),
    clientKey: readFileSync(pki.clientKey, 'utf8'),
    certificateAuthority: readFileSync(pki.ca, 'utf8'),
  }
  const session = await libvirtDriver.connect(
    way === 'unix' ? { uri, callTimeout: 30_000 } : { uri: tlsUri, callTimeout: 30_000, credentials },
  )
  // As composition.ts wraps it.
  const wrapped = observed(limited(guarded(session, { check() {} }), 4), () => {})
  const volumeXML = (name: string) =>
    `<volume><name>${name}</name><capacity>0</capacity><target><format type='raw'/></target></volume>`
  const { digest } = service
  const virsh = async (...args: string[]) => {
    const { code, stderr } = await hypervisor.run('virsh', ['-q', '-c', host.uri(way), ...args])
    if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
  }
  return [
    {
      name: 'virsh',
      async upload(name) {
        const volume = await pool.createVolume(volumeXML(name))
        const taken = await rate(() => virsh('vol-upload', '--pool', poolName, '--vol', name, '--file', file))
        await volume.delete()
        return taken
      },
    },
    {
      name: 'node-libvirt',
      async upload(name) {
        const volume = await pool.createVolume(volumeXML(name))
        const taken = await rate(async () => {
          await pipeline(createReadStream(file, { highWaterMark: MiB / 4 }), await volume.upload())
        })
        await volume.delete()
        return taken
      },
      close: () => connection.close(),
    },
    {
      name: 'image placed by the driver',
      async upload() {
        const content = { digest, length: size, format: 'raw', open: () => service.open() } as const
        const taken = await rate(() => wrapped.placeImage(poolName, content, () => {}))
        await wrapped.removeImage(poolName, digest)
        return taken
      },
      close: () => session.close(),
    },
  ]
}

interface StoredFile {
  readonly digest: string
  open(): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** The image service, with the file fetched. */
async function serviceWith(file: string, directory: string): Promise<StoredFile> {
  const server = await startImageServer()
  server.files.set('/image', { file })
  const service: ImageService = await createImageService({
    directory: join(directory, 'images'),
    log: pino({ level: 'silent' }),
  })
  const id = 'bench'
  await service.ensure({ id, source: { url: `${server.url}/image` }, format: 'raw' })
  const { image } = await until('the image is stored', async () => {
    const state = await service.state(id)
    if (state?.state === 'Failed') throw new Error(state.message)
    return state?.state === 'Ready' && state
  })
  await server.stop()
  return { digest: image.digest, open: () => service.open(image.digest), close: () => service.close() }
}

/** No filesystem and no compression makes it smaller. */
function* random(): Generator<Buffer> {
  for (let part = 0; part < size / MiB; part++) yield randomBytes(MiB)
}

const turned = <T>(list: readonly T[], by: number): T[] => {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

async function rate(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return (size / MiB / (performance.now() - begun)) * 1000
}
