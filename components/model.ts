import type { Catalog, Module } from '../catalog/load';
import type { RepositoryFiles } from '../stacks/files';
import type { StackSettings } from '../stacks/schema';
import type { Transform } from './shared/transform';

/** What is released: module → image by digest. Read from the release ledger of the environment. */
export type Releases = Readonly<
  Record<
    string,
    {
      readonly image: string;
      readonly commit: string;
      /** Its data is migrated before it is rolled out. @default it is as the release needs it */
      readonly migrate?: boolean | undefined;
    }
  >
>;

/** Modules whose merge requests are tested here, and released when they are merged: none where releases are promoted. */
export const testedModules = ({
  modules,
  settings,
}: Pick<Model, 'modules' | 'settings'>): readonly Module[] => (settings.promotion ? [] : modules);

/** Everything that the topology is made from, as plain data. */
export interface Model {
  readonly settings: StackSettings;
  readonly catalog: Catalog;
  /** The modules of this environment, sorted by name. */
  readonly modules: readonly Module[];
  readonly releases: Releases;
  /** Files of the Jenkins shared library: path in its repository → text. */
  readonly library: Readonly<Record<string, string>>;
  /** Empty where the catalog was read for single modules: no Pod that needs them is made then. */
  readonly files: RepositoryFiles;
  /** Which program this is (`catalog/program.ts`); empty as the files are. */
  readonly program: string;
  /** Build context of Jenkins' image, relative to the repository. @default where Switchyard's own sources have it */
  readonly jenkinsContext?: string;
  /** Purposes whose secrets this run brings in where something with data has another by now. @default none */
  readonly rotating?: readonly string[];
  /** What a repository of one's own changes in all declarations. @default nothing */
  readonly transform?: Transform;
}
