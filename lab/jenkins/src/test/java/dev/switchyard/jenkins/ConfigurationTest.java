package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Which configuration as code is taken. Sources: ConfigurationAsCode, BaseConfigurator and SecretSourceResolver of
 * configuration-as-code-plugin; GitLabConnection of gitlab-plugin (time-outs); the plugins' own configurators, as
 * docs/components/jenkins.md names them; JobDslPlugin's API of job-dsl-plugin. What is not known is refused by name.
 */
class ConfigurationTest {
  static final Plugins ALL = Plugins.parse("plugins.txt", String.join("\n", "configuration-as-code:1", "job-dsl:1", "kubernetes:1", "workflow-aggregator:1",
      "gitlab-plugin:1", "kubernetes-credentials-provider:1", "credentials-binding:1", "robot:1", "junit:1", "lockable-resources:1", "timestamper:1"));

  @TempDir Path folder;

  private Map<String, Object> load(String yaml, Plugins plugins) throws IOException {
    Path file = folder.resolve("jenkins.yaml");
    Files.writeString(file, yaml);
    return Casc.load(file.toString(), Map.of("NAME", "value")::get, plugins);
  }

  private String fault(String yaml) {
    return assertThrows(BootError.class, () -> load(yaml, ALL)).getMessage();
  }

  @Test
  void anUnknownKeyIsNamedWithFileAndLine() {
    String fault = fault("jenkins:\n  numExecutors: 0\n  systemMesage: x\n");
    assertTrue(fault.contains("jenkins.yaml:3: jenkins.systemMesage: unknown key"), fault);
  }

  @Test
  void everyFaultOfAFileIsReportedAtOnce() {
    assertEquals(2, fault("jenkins:\n  numExecutors: many\n  mode: SOMETIMES\n").lines().count());
  }

  @Test
  void theCrumbSettingThatWentAwayStopsTheBoot() {
    String fault = fault("jenkins:\n  crumbIssuer:\n    standard:\n      excludeClientIPFromCrumb: true\n");
    assertTrue(fault.contains(":4: jenkins.crumbIssuer.standard.excludeClientIPFromCrumb: is gone since Jenkins 2.543"), fault);
  }

  @Test
  void aKeyGivenTwiceIsRefused() {
    assertTrue(fault("jenkins:\n  mode: NORMAL\n  mode: NORMAL\n").contains("mode"));
  }

  /** gitlab-plugin, GitLabConnection: either time-out missing is a null that is unboxed at each use of the connection. */
  @Test
  void aConnectionWithoutItsTimeOutsIsRefused() {
    String connection = "unclassified:\n  gitLabConnectionConfig:\n    connections:\n      - { name: g, url: http://g, ";
    assertTrue(fault(connection + "readTimeout: 10 }\n").contains("'connectionTimeout' is missing"));
    assertTrue(fault(connection + "connectionTimeout: 10 }\n").contains("'readTimeout' is missing"));
  }

  /**
   * oic-auth 4.718 (`OicSecurityRealm`, `OicServerWellKnownConfiguration`, `EscapeHatch`), gitlab-oauth 1.30 (`GitLabSecurityRealm`),
   * matrix-auth 3.3 (`DefinitionEntry`, `PermissionDefinition`); a class without a symbol is called by its name (`DescribableAttribute`).
   */
  @Test
  void loginsOfPeopleTakeThePluginsKeysAndNoOther() throws IOException {
    Plugins with = Plugins.parse("p", "configuration-as-code:1\noic-auth:1\ngitlab-oauth:1\nmatrix-auth:1");
    String oic = "jenkins:\n  securityRealm:\n    oic:\n      clientId: a\n      clientSecret: ${NAME}\n      serverConfiguration: { wellKnown: { wellKnownOpenIDConfigurationUrl: 'https://id/x' } }\n";
    load(oic + "      properties: [pkce, { escapeHatch: { username: admin, group: g, secret: s } }]\n", with);
    load("jenkins:\n  securityRealm: { gitLab: { gitlabWebUri: g, gitlabApiUri: g, clientID: a, clientSecret: s } }\n", with);
    String matrix = "jenkins:\n  authorizationStrategy: { globalMatrix: { entries: [{ group: { name: g, permissions: [%s] } }] } }\n";
    load(matrix.formatted("Overall/Administer"), with);
    String fault = assertThrows(BootError.class, () -> load(oic + "      groupFieldName: groups\n", with)).getMessage();
    assertTrue(fault.contains("groupFieldName: unknown key"), fault);
    fault = assertThrows(BootError.class, () -> load(matrix.formatted("Overall/Everything"), with)).getMessage();
    assertTrue(fault.contains("'Overall/Everything' is not one of"), fault);
    fault = fault(oic);
    assertTrue(fault.contains("needs the plugin 'oic-auth'"), fault);
  }

  @Test
  void aRootOfAMissingPluginIsRefusedByName() {
    Plugins few = Plugins.parse("p", "configuration-as-code:1");
    String fault = assertThrows(BootError.class, () -> load("jobs:\n  - script: x\n", few)).getMessage();
    assertTrue(fault.contains("needs the plugin 'job-dsl'"), fault);
  }

  @Test
  void variablesAreResolvedEscapedAndDefaulted() {
    assertEquals("value ${NAME} other ", Casc.resolve("${NAME} ^${NAME} ${MISSING:-other} ${MISSING}", Map.of("NAME", "value")::get));
  }

  // SecretSourceResolver of configuration-as-code replaces twice, and its first pass looks into names and values too.
  @Test
  void variablesAreResolvedInNamesAndValuesAndAnEscapeWithoutAnEndStays() {
    Map<String, String> secrets = Map.of("A", "B", "B", "b", "OUTER", "of ${A}");
    assertEquals("b", Casc.resolve("${${A}}", secrets::get));
    assertEquals("of B", Casc.resolve("${OUTER}", secrets::get));
    assertEquals("b", Casc.resolve("${MISSING:-${B}}", secrets::get));
    assertEquals("^${A", Casc.resolve("^${A", secrets::get));
    assertEquals("^${A}", Casc.resolve("^^${A}", secrets::get));
  }

  @Test
  void anUnknownLookupIsRefused() {
    assertThrows(BootError.class, () -> Casc.resolve("${base64:x}", name -> null));
  }

  @Test
  void anUnpinnedPluginIsRefusedWithItsLine() {
    String fault = assertThrows(BootError.class, () -> Plugins.parse("plugins.txt", "git:5.7\nrobot\njunit:latest\n")).getMessage();
    assertTrue(fault.contains("plugins.txt:2: robot has no pinned version"), fault);
    assertTrue(fault.contains("plugins.txt:3: junit has no pinned version"), fault);
  }

  @Test
  void jobDslDeclaresFoldersJobsAndTriggers() {
    Map<String, Job> jobs = JobDsl.run(List.of("""
        folder('switchyard') { displayName('S') }
        pipelineJob('switchyard/orders') {
          properties { disableConcurrentBuilds { abortPrevious(true) }; pipelineTriggers { triggers { gitlab { triggerOnPush(true); secretToken('t') } } } }
          logRotator { numToKeep(5); artifactNumToKeep(2) }
          definition { cpsScm { scm { git { remote { url('http://g/o.git'); credentials('c') }; branch('${gitlabSourceBranch}') } }; scriptPath('J') } }
        }
        """), ALL);
    Job job = jobs.get("switchyard/orders");
    assertEquals("t", job.gitLabTrigger.get("secretToken"));
    assertEquals(new Job.Definition(null, "http://g/o.git", "c", "${gitlabSourceBranch}", "J"), job.definition);
    assertTrue(job.disableConcurrent && job.abortPrevious);
    assertEquals(5, job.numToKeep);
    assertEquals(2, job.artifactNumToKeep);
    assertTrue(jobs.get("switchyard").folder);
  }

  @Test
  void anUnknownMethodOfJobDslIsNamedWithItsLine() {
    String fault = assertThrows(BootError.class, () -> JobDsl.run(List.of("\npipelineJob('a') {\n  frobnicate(1)\n}\n"), ALL)).getMessage();
    assertTrue(fault.contains("jobs[0].script line 3: unknown method 'frobnicate' in pipelineJob"), fault);
  }

  @Test
  void aJobInAFolderThatIsNotDeclaredIsRefused() {
    String fault = assertThrows(BootError.class, () -> JobDsl.run(List.of("pipelineJob('f/a') { definition { cps { script('') } } }"), ALL)).getMessage();
    assertTrue(fault.contains("folder 'f' does not exist"), fault);
  }

  @Test
  void aTriggerThatWouldAskGitLabIsRefused() {
    String fault = assertThrows(BootError.class,
        () -> JobDsl.run(List.of("pipelineJob('a') { triggers { gitlab { triggerOpenMergeRequestOnPush('both') } } }"), ALL)).getMessage();
    assertTrue(fault.contains("only 'never' and 'source' are covered"), fault);
  }

  @Test
  void theTreeFilterKeepsWhatItNames() {
    Map<String, Object> job = Map.of("name", "a", "builds", List.of(Map.of("number", 2, "url", "u"), Map.of("number", 1, "url", "u")));
    assertEquals(Map.of("builds", List.of(Map.of("number", 2))), Tree.parse("builds[number]{0,1}").apply(job));
    assertThrows(IllegalArgumentException.class, () -> Tree.parse("builds[number"));
  }

  @Test
  void antPatternsStayWithinAPathPart() {
    assertTrue("a/b/c.txt".matches(GitLabHook.antPattern("a/**/*.txt")));
    assertTrue("a/c.txt".matches(GitLabHook.antPattern("a/**/*.txt")));
    assertFalse("a/b/c.txt".matches(GitLabHook.antPattern("a/*.txt")));
  }
}
