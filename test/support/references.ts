import { type Piece, type Ref, type Reference, Template } from '../../components/shared/references';

const SHOWN = /«(secret|basic|htpasswd|given|found|output):([^«»:]+)(?::([^«»:]+))?»/g;

function referenceOf([, kind, first = '', second = '']: RegExpMatchArray): Reference {
  if (kind === 'secret') return { kind, purpose: first };
  if (kind === 'given') return { kind, name: first };
  if (kind === 'found') return { kind, what: first as 'user', key: second };
  if (kind === 'output') return { kind, resource: first, property: second };
  return { kind: kind as 'basic', user: first, purpose: second };
}

/** A text with references, from the form in which people read it. The program has no way back. */
export function marked(text: string): string | Ref {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(SHOWN)) {
    if (match.index > end) pieces.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    pieces.push(referenceOf(match));
  }
  if (pieces.length === 0) return text;
  if (end < text.length) pieces.push(text.slice(end));
  return new Template(pieces) as Ref;
}
