import type { SeedFiles } from '../../hypervisor/port.ts'
import { isoImage } from './iso9660.ts'

/** Volume label that cloud-init's NoCloud data source looks for. */
const label = 'cidata'

/** An ISO 9660 image; equal files give equal bytes. */
export const seedImage = (files: SeedFiles): Buffer => isoImage(label, files)
