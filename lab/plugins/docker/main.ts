import { servePlugin } from '../shared/server';
import { DockerProvider } from './provider';

// The version of @pulumi/docker that programs use: the engine asks for a plug-in of exactly that one.
servePlugin('docker', '5.2.0', (log) => new DockerProvider(log));
