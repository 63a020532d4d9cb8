import { names } from './naming';
import { basicOf, type Login, type Ref, secretRef, written } from './references';

/** Where images are pulled from, and as whom. */
export interface RegistryEndpoint {
  /** Host, or host and port, without a scheme: what stands before the first `/` of an image's name. */
  readonly address: string;
  /** Who may only pull: clusters and tests. */
  readonly pull: Login;
}

/** Purpose of a registry user's password. */
export const loginPurpose = (user: string): string => `registry/${user}`;

/** A user whose password is derived, also where another registry's takes its place (`brought` of the registrar). */
export const derivedLogin = (user: string): Login => ({ user, password: secretRef(loginPurpose(user)) });

/** The registry of a topology, as those see it that pull from it. */
export const registryEndpoint = ({ address }: { readonly address: string }): RegistryEndpoint => ({
  address,
  pull: derivedLogin(names.pullUser),
});

/** Docker's config.json for one registry and one of its users. */
export const dockerConfig = (registry: string, login: Login): string | Ref =>
  written({ auths: { [registry]: { auth: basicOf(login) } } }, JSON.stringify);
