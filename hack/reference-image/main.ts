import { referenceImage } from './index.ts'

const image = await referenceImage((step) => console.error(step))
console.log(`${image.path}
sha256 ${image.sha256}
${image.size} bytes, ${image.virtualSize} bytes to a guest`)
