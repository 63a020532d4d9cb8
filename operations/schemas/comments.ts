import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** What doc comments say about a schema and, key by key, about all that is in it. */
export interface Doc {
  /** The comment as one paragraph. */
  text?: string;
  /** What `@default` says. */
  preset?: string;
  properties: Map<string, Doc>;
  /** Elements of a list. */
  items?: Doc;
  /** Values of a map. */
  values?: Doc;
  /** Alternatives of a union, in their order. */
  options: Doc[];
}

/** Where an expression stands, and what the names of an enclosing function's parameters mean there. */
interface Scope {
  readonly file: ts.SourceFile;
  readonly bound: ReadonlyMap<string, { readonly node: ts.Expression; readonly scope: Scope }>;
}

const emptyDoc = (): Doc => ({ properties: new Map(), options: [] });

/** A sentence without the spaces and line ends that only lay it out in the source. */
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** The comment of a node itself; empty where it has none. */
function commentOf(node: ts.Node): Pick<Doc, 'text' | 'preset'> {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const text = comments.map(({ comment }) => oneLine(ts.getTextOfJSDocComment(comment) ?? '')).join(' ');
  const preset = comments
    .flatMap(({ tags }) => [...(tags ?? [])])
    .find(({ tagName }) => tagName.text === 'default')?.comment;
  return {
    ...(text === '' ? {} : { text }),
    ...(preset === undefined ? {} : { preset: oneLine(ts.getTextOfJSDocComment(preset) ?? '') }),
  };
}

/** The comment before an element of a list, where the compiler looks for none. */
function commentBefore(node: ts.Node): Pick<Doc, 'text'> {
  const source = node.getSourceFile().text;
  const last = ts.getLeadingCommentRanges(source, node.getFullStart())?.at(-1);
  const comment = last ? source.slice(last.pos, last.end) : '';
  if (!comment.startsWith('/**')) return {};
  return { text: oneLine(comment.replace(/^\/\*\*|\*\/$|^\s*\* ?/gm, '')) };
}

/**
 * Reads the doc comments of Zod schemas from their source, so that a comment beside a key serves the reader of the code,
 * the reference and the editors alike. Follows names within a file and through relative imports; what it does not know
 * (a refinement, a transformation) it looks through.
 */
export class CommentReader {
  private readonly files = new Map<string, ts.SourceFile>();

  /** @throws Error when the file has no such constant: a fault of the program */
  read(path: string, name: string): Doc {
    const file = this.open(path);
    const found = this.lookUp(name, { file, bound: new Map() });
    if (!found) throw new Error(`${path} has no schema "${name}"`);
    return found;
  }

  private open(path: string): ts.SourceFile {
    const file =
      this.files.get(path) ??
      ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
    this.files.set(path, file);
    return file;
  }

  private lookUp(name: string, scope: Scope): Doc | undefined {
    const bound = scope.bound.get(name);
    if (bound) return this.resolve(bound.node, bound.scope);
    const top: Scope = { file: scope.file, bound: new Map() };
    for (const statement of scope.file.statements) {
      if (ts.isVariableStatement(statement)) {
        for (const { name: declared, initializer } of statement.declarationList.declarations) {
          if (!initializer || declared.getText() !== name) continue;
          const doc = this.resolve(initializer, top);
          return { ...doc, ...commentOf(statement) };
        }
      }
      if (ts.isImportDeclaration(statement)) {
        const doc = this.imported(statement, name, scope);
        if (doc) return doc;
      }
    }
    return undefined;
  }

  private imported(statement: ts.ImportDeclaration, name: string, scope: Scope): Doc | undefined {
    const named = statement.importClause?.namedBindings;
    if (!named || !ts.isNamedImports(named) || !ts.isStringLiteral(statement.moduleSpecifier))
      return undefined;
    const found = named.elements.find((element) => element.name.text === name);
    if (!found) return undefined;
    const path = `${join(dirname(scope.file.fileName), statement.moduleSpecifier.text)}.ts`;
    if (!existsSync(path)) return undefined;
    return this.lookUp((found.propertyName ?? found.name).text, { file: this.open(path), bound: new Map() });
  }

  private resolve(node: ts.Expression, scope: Scope): Doc {
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
      return this.resolve(node.expression, scope);
    }
    if (ts.isIdentifier(node)) return this.lookUp(node.text, scope) ?? emptyDoc();
    // `schema.shape`
    if (ts.isPropertyAccessExpression(node)) return this.resolve(node.expression, scope);
    if (ts.isObjectLiteralExpression(node)) return this.object(node, scope);
    if (ts.isCallExpression(node)) return this.call(node, scope);
    return emptyDoc();
  }

  private object(node: ts.ObjectLiteralExpression, scope: Scope): Doc {
    const doc = emptyDoc();
    for (const property of node.properties) {
      if (ts.isSpreadAssignment(property)) {
        for (const [key, value] of this.resolve(property.expression, scope).properties) {
          doc.properties.set(key, value);
        }
      } else if (ts.isPropertyAssignment(property) || ts.isShorthandPropertyAssignment(property)) {
        const value = ts.isPropertyAssignment(property) ? property.initializer : property.name;
        const inner = this.resolve(value, scope);
        const key = ts.isStringLiteral(property.name) ? property.name.text : property.name.getText();
        doc.properties.set(key, { ...inner, ...commentOf(property) });
      }
    }
    return doc;
  }

  private call(node: ts.CallExpression, scope: Scope): Doc {
    const callee = node.expression;
    const [first, second] = node.arguments;
    if (ts.isIdentifier(callee)) return this.made(callee.text, node, scope);
    if (!ts.isPropertyAccessExpression(callee)) return emptyDoc();
    const method = callee.name.text;
    if (!ts.isIdentifier(callee.expression) || callee.expression.text !== 'z') {
      const doc = this.resolve(callee.expression, scope);
      if (!first || !['extend', 'safeExtend', 'merge'].includes(method)) return doc;
      return { ...doc, properties: new Map([...doc.properties, ...this.resolve(first, scope).properties]) };
    }
    if (!first) return emptyDoc();
    switch (method) {
      case 'object':
      case 'strictObject':
      case 'looseObject':
      case 'optional':
      case 'nullable':
        return this.resolve(first, scope);
      case 'array':
        return { ...emptyDoc(), items: this.resolve(first, scope) };
      case 'record':
      case 'partialRecord':
        return second ? { ...emptyDoc(), values: this.resolve(second, scope) } : emptyDoc();
      case 'preprocess':
        return second ? this.resolve(second, scope) : emptyDoc();
      case 'union':
      case 'discriminatedUnion': {
        const list = method === 'union' ? first : second;
        if (!list || !ts.isArrayLiteralExpression(list)) return emptyDoc();
        return {
          ...emptyDoc(),
          options: list.elements.map((option) => ({
            ...this.resolve(option, scope),
            ...commentBefore(option),
          })),
        };
      }
      default:
        return emptyDoc();
    }
  }

  /** A schema that a function of the same file makes: its body, with the arguments in the parameters' place. */
  private made(name: string, call: ts.CallExpression, scope: Scope): Doc {
    for (const statement of scope.file.statements) {
      if (ts.isFunctionDeclaration(statement) && statement.name?.text === name) {
        const result = statement.body?.statements.find(ts.isReturnStatement)?.expression;
        return result ? this.resolve(result, this.bind(statement.parameters, call, scope)) : emptyDoc();
      }
      if (!ts.isVariableStatement(statement)) continue;
      for (const { name: declared, initializer } of statement.declarationList.declarations) {
        if (declared.getText() !== name || !initializer || !ts.isArrowFunction(initializer)) continue;
        const { body, parameters } = initializer;
        const result = ts.isBlock(body) ? body.statements.find(ts.isReturnStatement)?.expression : body;
        return result ? this.resolve(result, this.bind(parameters, call, scope)) : emptyDoc();
      }
    }
    return emptyDoc();
  }

  private bind(parameters: readonly ts.ParameterDeclaration[], call: ts.CallExpression, scope: Scope): Scope {
    const bound = new Map(
      parameters.flatMap(({ name }, index) => {
        const node = call.arguments[index];
        return node ? [[name.getText(), { node, scope }] as const] : [];
      }),
    );
    return { file: scope.file, bound };
  }
}
