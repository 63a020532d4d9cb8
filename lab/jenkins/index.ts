import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hashFiles, type Step } from '../steps';

const FOLDER = __dirname;

/** The Jenkins stand-in as `target/jenkins.jar` and `target/lib/*.jar`, from Maven Central; its image is made of them. */
export function jenkinsJarStep(): Step {
  return {
    name: 'jenkins-jar',
    title: 'Jenkins stand-in (Maven)',
    needs: ['packages'],
    inputs: () => hashFiles([join(FOLDER, 'pom.xml'), join(FOLDER, 'src', 'main')]),
    done: async () =>
      existsSync(join(FOLDER, 'target', 'jenkins.jar')) && existsSync(join(FOLDER, 'target', 'lib')),
    run: async (log) => {
      // `clean` so that no jar of an older pom.xml stays in target/lib.
      await log.exec(
        'mvn',
        ['-B', '-ntp', '-q', '-DskipTests', '-f', join(FOLDER, 'pom.xml'), 'clean', 'package'],
        {
          timeoutSeconds: 600,
        },
      );
    },
  };
}
