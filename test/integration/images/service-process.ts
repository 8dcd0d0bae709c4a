/** The image service as a process of its own, so that a test can kill it. Arguments: directory, request as JSON. */
import { createImageService, type FetchRequest } from '../../../images/index.ts'

const [directory = '', request = '{}'] = process.argv.slice(2)
const { id, ...rest } = JSON.parse(request) as FetchRequest
const service = await createImageService({ directory, retry: { base: 10, maximum: 100 }, limits: { reservedSpace: 0 } })
const tell = async () => process.stdout.write(`${JSON.stringify(await service.state(id))}\n`)
service.onChange(tell)
await service.ensure({ id, ...rest })
await tell()
