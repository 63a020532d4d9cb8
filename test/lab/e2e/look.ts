import { Secrets } from '../../../components/shared/secrets';
import { sleep } from '../../../lab/machine/process';
import { ENVIRONMENT, JENKINS_URL, labEnvironment } from '../../../lab/topology';

/** The job that the clock starts at night. */
const JOB = `${JENKINS_URL}/job/switchyard/job/topology-drift`;

interface Build {
  readonly building: boolean;
  readonly result: string | null;
}

export const json = async <T>(url: string, init?: RequestInit): Promise<T | undefined> => {
  const answer = await fetch(url, init);
  return answer.ok ? ((await answer.json()) as T) : undefined;
};

/** Starts the job as a person does, and waits for what comes of it. */
export async function look(seconds = 300): Promise<{ result: string | null; log: string }> {
  const password = new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT).secret('jenkins/admin');
  const login = { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` };
  const crumb = await json<{ crumbRequestField: string; crumb: string }>(
    `${JENKINS_URL}/crumbIssuer/api/json`,
    { headers: login },
  );
  const next = (await json<{ nextBuildNumber: number }>(`${JOB}/api/json`))?.nextBuildNumber;
  const started = await fetch(`${JOB}/build`, {
    method: 'POST',
    headers: { ...login, [crumb?.crumbRequestField ?? '']: crumb?.crumb ?? '' },
  });
  expect(started.status).toBe(201);
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(300)) {
    const build = await json<Build>(`${JOB}/${next}/api/json`);
    if (build && !build.building) {
      return { result: build.result, log: await (await fetch(`${JOB}/${next}/consoleText`)).text() };
    }
  }
  throw new Error(`${JOB}/${next}/ did not end`);
}
