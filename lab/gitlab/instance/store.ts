import { DatabaseSync, type StatementSync } from 'node:sqlite';

export interface Row {
  id: number;
}

/**
 * One kind of entity: read from memory, written through to SQLite before the call returns, so that an
 * answered request survives `kill -9`. Ids are never reused, as in GitLab.
 */
export class Table<T extends Row> {
  private readonly rows = new Map<number, T>();
  private next: number;

  constructor(
    private readonly name: string,
    private readonly write: StatementSync,
    private readonly erase: StatementSync,
    private readonly sequence: StatementSync,
    load: readonly { id: number; body: string }[],
    next: number,
  ) {
    this.next = next;
    for (const { id, body } of load) this.rows.set(id, JSON.parse(body) as T);
  }

  insert(data: Omit<T, 'id'>): T {
    const row = { ...data, id: this.next } as T;
    this.next += 1;
    this.sequence.run(this.name, this.next);
    this.save(row);
    return row;
  }

  /** Writes the row (a changed or a new one) and returns it. */
  save(row: T): T {
    this.write.run(this.name, row.id, JSON.stringify(row));
    this.rows.set(row.id, row);
    return row;
  }

  /** Changes some fields in place, writes, returns the row. */
  update(row: T, change: Partial<T>): T {
    return this.save(Object.assign(row, change));
  }

  delete(id: number): void {
    this.erase.run(this.name, id);
    this.rows.delete(id);
  }

  get(id: number): T | undefined {
    return this.rows.get(id);
  }

  find(match: (row: T) => boolean): T | undefined {
    for (const row of this.rows.values()) if (match(row)) return row;
    return undefined;
  }

  /** In the order of ids. */
  filter(match: (row: T) => boolean = () => true): T[] {
    return [...this.rows.values()].filter(match).sort((a, b) => a.id - b.id);
  }

  deleteWhere(match: (row: T) => boolean): void {
    for (const row of this.filter(match)) this.delete(row.id);
  }
}

/** The durable state: one SQLite file in write-ahead mode. */
export class Store {
  private readonly db: DatabaseSync;

  constructor(file: string) {
    this.db = new DatabaseSync(file);
    try {
      // Exclusive: two servers on one data folder would each overwrite what the other wrote.
      this.db.exec(
        'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;',
      );
      this.db.exec('BEGIN IMMEDIATE; COMMIT;');
    } catch (error) {
      this.db.close();
      const busy = error instanceof Error && /locked|busy/.test(error.message);
      throw busy
        ? new Error(`${file} is in use by another server: stop it, or use another data folder`)
        : error;
    }
    this.db.exec(`CREATE TABLE IF NOT EXISTS rows (kind TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS sequences (kind TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;`);
  }

  table<T extends Row>(name: string): Table<T> {
    const load = this.db.prepare('SELECT id, body FROM rows WHERE kind = ? ORDER BY id').all(name);
    const sequence = this.db.prepare('SELECT next FROM sequences WHERE kind = ?').get(name);
    return new Table<T>(
      name,
      this.db.prepare('INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body'),
      this.db.prepare('DELETE FROM rows WHERE kind = ? AND id = ?'),
      this.db.prepare('INSERT INTO sequences VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next'),
      load.map((row) => ({ id: Number(row.id), body: String(row.body) })),
      Number(sequence?.next ?? 1),
    );
  }

  /** All writes of `work` become durable together or not at all (memory is only as good as a restart then). */
  transaction<T>(work: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.db.close();
  }
}
