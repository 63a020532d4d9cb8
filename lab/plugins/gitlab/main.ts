import { servePlugin } from '../shared/server';
import { GitLabProvider } from './provider';
import { VERSION } from './schema';

servePlugin('gitlab', VERSION, () => new GitLabProvider());
