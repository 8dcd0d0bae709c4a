export declare const packages: readonly string[]
export declare const dom0Packages: readonly string[]
export declare const hypervisorPackage: string
export declare const kernelMetaPackage: string
