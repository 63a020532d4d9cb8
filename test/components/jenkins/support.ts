import type { Model } from '../../../components/model';
import type { Declaration, ResourceType } from '../../../components/shared/declaration';
import { shown } from '../../../components/shared/references';
import { parseStack } from '../../../stacks/load';
import { jenkinsResources } from '../../support/jenkins';
import { stackText, testModel } from '../../support/model';

/** A model whose stack says more about Jenkins: YAML in braces, beside `url`; and about where images come from. */
export function modelWith(jenkins = '', images?: { readonly mirror: string }): Model {
  const text = stackText.replace(
    '{ url: "https://jenkins.test" }',
    `{ url: "https://jenkins.test"${jenkins === '' ? '' : `, ${jenkins}`} }`,
  );
  const more = images ? `  switchyard:images: { mirror: "${images.mirror}" }\n` : '';
  return testModel({ settings: parseStack(`${text}${more}`, 'stacks/Pulumi.test.yaml', 'test') });
}

export function declarationOf(model: Model, name: string): Declaration {
  const found = jenkinsResources(model).find((declaration) => declaration.name === name);
  if (!found) throw new Error(`there is no "${name}"`);
  return found;
}

export function argsOf<T extends ResourceType>(type: T, model: Model, name: string) {
  const found = declarationOf(model, name);
  if (found.type !== type) throw new Error(`"${name}" is a ${found.type}`);
  return shown(found.args) as Extract<Declaration, { type: T }>['args'];
}

export const namesOf = (model: Model): string[] => jenkinsResources(model).map(({ name }) => name);

const roles = 'roles: { admin: [platform], operator: [on-call, platform], reader: ["shop/orders"] }';
/** People log in by OpenID Connect, as {@link modelWith} takes it. */
export const OIDC = `login: { openIdConnect: { wellKnown: "https://id.test/.well-known/openid-configuration", clientId: jenkins, clientSecretFrom: JENKINS_SECRET }, ${roles} }`;
/** People log in by GitLab's OAuth. */
export const OAUTH = `login: { gitlab: { clientId: jenkins, clientSecretFrom: JENKINS_SECRET }, ${roles} }`;
