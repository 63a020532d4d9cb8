import { z } from 'zod';
import { entries } from '../catalog/shapes';
import { httpUrl, oneOf, say, secretVariable } from './shapes';

/** Name of a claim, or a path to one as JMESPath writes it. */
const claim = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/,
    say('is not the name of a claim', 'Write "groups" or "realm_access.roles".'),
  );

const clientId = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, say('is not a client id', 'Copy it from the provider, without spaces.'));

const openIdConnect = z.strictObject({
  /** Where the provider describes itself: `https://gitlab.example.com/.well-known/openid-configuration`. */
  wellKnown: httpUrl.refine(
    (url) => url.startsWith('https:'),
    say('is not https', 'Use https: whoever answers there says who is who.'),
  ),
  /** Jenkins' id at the provider, whose redirect address is `<url>/securityRealm/finishLogin`. */
  clientId,
  /** Environment variable that holds the client's secret. */
  clientSecretFrom: secretVariable,
  /** What Jenkins asks for. */
  scopes: z
    .string()
    .regex(
      /^openid( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
      say('are not scopes', 'Begin with "openid", one space between two.'),
    )
    .default('openid profile email'),
  /** Claim that holds a person's name in Jenkins; one that nobody can choose for themselves. */
  userName: claim.default('preferred_username'),
  /** Claim that lists a person's groups. */
  groups: claim.default('groups'),
});

const gitlab = z.strictObject({
  /** Jenkins' application at the stack's GitLab: scope `api`, redirect address `<url>/securityRealm/finishLogin`. */
  clientId,
  /** Environment variable that holds the application's secret. */
  clientSecretFrom: secretVariable,
});

/** Names that stand for nobody in particular in Jenkins' permissions. */
const NOBODY: readonly string[] = ['anonymous', 'authenticated', 'system'];
/** Whether Jenkins has a meaning of its own for a name. */
export const isJenkinsOwn = (name: string): boolean => NOBODY.includes(name.toLowerCase());

/** A group as the provider names it; of GitLab its full path. */
const group = z
  .string()
  .regex(
    /^[^\s:](?:[^:\r\n\0]*[^\s:])?$/,
    say('is not the name of a group', 'Leave ":" and spaces around it out.'),
  )
  .refine((name) => !isJenkinsOwn(name), say("is a name of Jenkins' own", 'Name a group of the provider.'));

const groups = z
  .array(group)
  .max(...entries())
  .default([]);

export const loginSchema = z
  .strictObject({
    /** Any provider of OpenID Connect, GitLab among them. */
    openIdConnect: openIdConnect.optional(),
    /** GitLab by OAuth. It asks for the scope `api` of each person; OpenID Connect does not. */
    gitlab: gitlab.optional(),
    /** Groups by what their people may do. Who is in none of them may do nothing. */
    roles: z.strictObject({
      /** Everything. With GitLab there is no other way in than by one of these. */
      admin: z
        .array(group)
        .min(1, say('names no group', 'Name at least one.'))
        .max(...entries()),
      /** See jobs and their logs, start builds and stop them. */
      operator: groups,
      /** See jobs and their logs. */
      reader: groups,
    }),
  })
  .superRefine(oneOf('openIdConnect', 'gitlab'));

export type Login = z.infer<typeof loginSchema>;

/** The variable that holds the client's secret. */
export function loginVariable({ openIdConnect: oidc, gitlab: oauth }: Login): {
  readonly variable: string;
  readonly place: string;
} {
  const way = oidc ? 'openIdConnect' : 'gitlab';
  return {
    variable: oidc?.clientSecretFrom ?? oauth?.clientSecretFrom ?? '',
    place: `config.jenkins.login.${way}.clientSecretFrom`,
  };
}
