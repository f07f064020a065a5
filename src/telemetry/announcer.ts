import { EventEmitter } from 'node:events'

/**
 * An emitter whose listeners cannot harm who emits: what one of them throws is thrown again in a turn of its own, where
 * it is the uncaught exception that it would have been anyway, and what is being done here is done to its end.
 */
export class Announcer<Events extends Record<keyof Events, unknown[]>> extends EventEmitter<Events> {
  /** Whether anybody listens. */
  protected hears<Name extends keyof Events & string>(name: Name): boolean {
    return (this as unknown as EventEmitter).listenerCount(name) > 0
  }

  /** @param values made only where somebody listens */
  protected tell<Name extends keyof Events & string>(name: Name, values: () => Events[Name]): void {
    if (!this.hears(name)) return
    try {
      // By its untyped form: the types of a generic emitter's own emit() cannot be spelt out here.
      ;(this as unknown as EventEmitter).emit(name, ...values())
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
