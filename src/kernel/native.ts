import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BatonError } from '../errors/index.js'

const require = createRequire(import.meta.url)
/** From dist/src/kernel up to the package's root. */
export const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '../../..')

/** Loads the addon once; each file of this folder gives its own part of it a type. */
function load(): unknown {
  const path = join(packageRoot, 'build/Release/baton.node')
  try {
    return require(path)
  } catch (cause) {
    throw new BatonError('BATON_KERNEL_ADDON', { detail: path, cause })
  }
}

let addon: unknown

/** The addon's exports, typed by the caller as the part that it knows. Loaded at the first call. */
export function native<T>(): T {
  addon ??= load()
  return addon as T
}
