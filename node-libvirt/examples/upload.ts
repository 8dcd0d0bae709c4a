// Makes a volume of a file: node upload.ts qemu:///system default disk.img
import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Connection, ErrorCode, LibvirtError } from 'node-libvirt'

const [uri = '', poolName = 'default', file = ''] = process.argv.slice(2)
await using connection = await Connection.open(uri)

const pool = await connection.lookupStoragePoolByName(poolName)
const { size } = statSync(file)
try {
  const volume = await pool.createVolume(
    `<volume><name>${basename(file)}</name><capacity unit='bytes'>${size}</capacity></volume>`,
  )
  // Settles when the server has confirmed that all is written.
  await pipeline(createReadStream(file), await volume.upload())
  process.stdout.write(`${await volume.getPath()} ${(await volume.getInfo()).capacity}\n`)
} catch (error) {
  if (!(error instanceof LibvirtError) || error.code !== ErrorCode.STORAGE_VOL_EXIST) throw error
  process.stdout.write('it is there already\n')
}
