import type { EngineEvent } from '@pulumi/pulumi/automation';
import { plainText } from '../../text/terminal';
import { isRealResource, parseUrn } from './urns';

/** One fault of a run: a line of its own. */
export interface Fault {
  /** Name of the resource; absent for faults of the program or the engine. */
  readonly resource?: string;
  readonly kind?: string;
  readonly message: string;
}

/** What the engine says when it has already said why. */
const echoes = /^(update|preview|refresh|destroy|operation) (failed|canceled)$|^one or more .* failed$/i;

/** Pulumi marks colours in its messages as `<{%fg 1%}>`. */
const plain = (text: string): string => text.replace(/<\{%[^%]*%\}>/g, '').trim();

/**
 * Collects the faults and the warnings of a run from the engine's events. Debug messages are passed over: they hold
 * what Pulumi knows as secret.
 */
export class FaultGatherer {
  private readonly errors = new Map<string, Fault>();
  private readonly warnings = new Map<string, Fault>();

  take(event: EngineEvent): void {
    const diagnostic = event.diagnosticEvent;
    if (!diagnostic || (diagnostic.severity !== 'error' && diagnostic.severity !== 'warning')) return;
    const found = diagnostic.severity === 'error' ? this.errors : this.warnings;
    const resource = diagnostic.urn ? parseUrn(diagnostic.urn) : undefined;
    const real = resource && isRealResource(resource.type) ? resource : undefined;
    const lines = plain(diagnostic.message)
      .split('\n')
      // A provider passes on what containers said.
      .map((line) => plainText(line.replaceAll('\t', ' ').trim()))
      .filter((line) => line !== '');
    // A program's own faults come one a line; a provider's message is one fault, however it is laid out.
    for (const message of real ? [lines.join(' ')] : lines) {
      if (message === '' || echoes.test(message.replace(/^error: /, ''))) continue;
      const fault = real ? { resource: real.name, kind: real.kind, message } : { message };
      found.set(`${fault.resource ?? ''} ${message}`, fault);
    }
  }

  all(): { readonly errors: readonly Fault[]; readonly warnings: readonly Fault[] } {
    return { errors: [...this.errors.values()], warnings: [...this.warnings.values()] };
  }
}

/** `Deployment production-orders-workload: image cannot be pulled` */
export const faultText = ({ resource, kind, message }: Fault): string =>
  resource ? `${kind} ${resource}: ${message}` : message;
