/** Stack with the state of one module's production while deploys work on it. Names of both hold no dot. */
export const partName = (environment: string, module: string): string => `${environment}.${module}`;

/** The environment that a stack's program is for: the stack's own name, or what a part's name begins with. */
export const environmentOf = (stack: string): string => stack.split('.', 1)[0] ?? stack;
