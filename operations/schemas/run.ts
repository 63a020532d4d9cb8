import { resolve } from 'node:path';
import { generate } from './files';

generate(resolve(__dirname, '..', '..'));
