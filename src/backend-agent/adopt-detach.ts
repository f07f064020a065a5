import { adoptionLayout, readAdoption } from './adopt-layout.js'
import { leftAdoptions, openAdoptPrograms } from './adopt-programs.js'

/**
 * Takes everything out of the kernel that an agent of this id, which does not run, has left there.
 * @returns how many connections it had adopted that live; undefined when there was nothing
 * @throws BatonError BATON_ADOPT_BUSY while it runs, BATON_ADOPT_UNAVAILABLE
 */
export function detachAdoptions(id: string): number | undefined {
  if (!leftAdoptions(id)) return undefined
  const programs = openAdoptPrograms(id, () => undefined)
  let count = 0
  for (const { values, count: size } of programs.map.chunks()) {
    for (let index = 0; index < size; index++) {
      if (readAdoption(values, index * adoptionLayout.size).state === 'born') count++
    }
  }
  programs.close(true)
  return count
}
