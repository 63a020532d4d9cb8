/** Stack with the state of one module's production while deploys work on it. Names of both hold no dot. */
export const partName = (environment: string, module: string): string => `${environment}.${module}`;

/**
 * Stack with what `up` cut for a module, from which its next deploy makes the part.
 * @param mark tells it from what was cut before
 */
export const cutName = (environment: string, module: string, mark: string): string =>
  `${partName(environment, module)}.${mark}`;

/** The environment that a stack's program is for: the stack's own name, or what a part's name begins with. */
export const environmentOf = (stack: string): string => stack.split('.', 1)[0] ?? stack;
