import * as pulumi from '@pulumi/pulumi';
import type { Declaration } from './declaration';
import type { Registrar } from './registrar';

/** Type token of a component: `switchyard:<box>:<Kind>`, as in `switchyard:jenkins:Jenkins`. */
export const typeToken = (box: string, kind = `${box.charAt(0).toUpperCase()}${box.slice(1)}`): string =>
  `switchyard:${box}:${kind}`;

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
