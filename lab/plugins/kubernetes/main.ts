import { servePlugin } from '../shared/server';
import { KubernetesProvider } from './provider';

// The version of @pulumi/kubernetes that programs use: the engine asks for a plug-in of exactly that one.
servePlugin('kubernetes', '4.34.2', (log) => new KubernetesProvider(log));
