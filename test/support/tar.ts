/** One entry of a tar, as whoever means harm writes it. */
export interface TarEntry {
  readonly name?: string;
  /** @default '0', a file */
  readonly type?: string;
  readonly data?: Buffer;
  /** What the header says of it, as text in octal or as it stands there. @default the data's bytes */
  readonly size?: string | Buffer;
}

/** A header of 512 bytes with its checksum. */
export function tarHeader({ name = 'file', type = '0', data = Buffer.alloc(0), size }: TarEntry): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  if (Buffer.isBuffer(size)) size.copy(header, 124);
  else header.write(size ?? `${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156, 'latin1');
  header.write(type === 'S' ? 'ustar  \0' : 'ustar\x0000', 257);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** A tar without its end. */
export const tarBody = (entries: readonly TarEntry[]): Buffer =>
  Buffer.concat(
    entries.flatMap((entry) => {
      const { data = Buffer.alloc(0) } = entry;
      return [tarHeader(entry), data, Buffer.alloc((512 - (data.length % 512)) % 512)];
    }),
  );

export const tarOf = (entries: readonly TarEntry[]): Buffer<ArrayBuffer> =>
  Buffer.concat([tarBody(entries), Buffer.alloc(1024)]);

/** An extended header of PAX for the entry behind it. @param type `g`: for all behind it */
export function paxOf(records: Readonly<Record<string, string>>, type = 'x'): TarEntry {
  const text = Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      const length = [...Array(10).keys()].find((digits) => String(rest.length + digits).length === digits);
      return `${rest.length + (length ?? 0)}${rest}`;
    })
    .join('');
  return { name: 'pax', type, data: Buffer.from(text) };
}
