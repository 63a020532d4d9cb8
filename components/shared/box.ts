import * as pulumi from '@pulumi/pulumi';
import type { Declaration } from './declaration';
import type { Registrar } from './registrar';

/** A box of the picture: a component whose children are the declarations of a pure function. */
export class Box extends pulumi.ComponentResource {
  constructor(
    token: string,
    name: string,
    declarations: readonly Declaration[],
    registrar: Registrar,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(token, name, {}, opts);
    for (const declaration of declarations) registrar.register(declaration, this);
    this.registerOutputs({});
  }
}
