export declare const packages: readonly string[]
export declare const imagePackages: readonly string[]
