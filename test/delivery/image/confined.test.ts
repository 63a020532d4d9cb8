import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../support/model';

// Each fence is tried by the kernel's own calls, with it and without: what the kernel of this machine refuses by itself
// shows nothing of it, and the test's name says so.

const CONFINED = join(root, 'delivery', 'image', 'bin', 'confined');
const { EPERM } = constants.errno;
const x64 = process.arch === 'x64';
const CALLS = x64 ? { socket: 41, socketpair: 53 } : { socket: 198, socketpair: 199 };
const IO_URING_SETUP = 425;
const X32 = 0x40000000;
const [UNIX, INET, INET6, NETLINK, PACKET, TIPC, VSOCK] = [1, 2, 10, 16, 17, 30, 40] as const;
const [STREAM, DATAGRAM, RAW] = [1, 2, 3] as const;

/** Makes system calls, one a line of arguments; a `*` is room for an answer. */
const CALLER = `
  for (@ARGV) {
    my $room = "\\0" x 128;
    my @call = map { $_ eq '*' ? $room : 0 + $_ } split ' ';
    my $number = shift @call;
    $! = 0;
    print syscall($number, @call) < 0 ? $! + 0 : 0, "\\n";
  }
`;
type Call = readonly (number | '*')[];

/** Error numbers of system calls; 0 where one succeeds. */
function errorsOf(before: readonly string[], calls: readonly Call[]): number[] {
  const [program = '', ...args] = [...before, 'perl', '-e', CALLER, ...calls.map((call) => call.join(' '))];
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  const errors = stdout.split('\n').filter(Boolean).map(Number);
  if (errors.length !== calls.length) throw new Error(`no answer to each call: ${stderr}`);
  return errors;
}
const confined = (...calls: Call[]): number[] => errorsOf([CONFINED], calls);
const free = (...calls: Call[]): number[] => errorsOf([], calls);

const REFUSED: [string, Call][] = [
  ['a socket of IPv4', [CALLS.socket, INET, STREAM, 0]],
  ['a socket of IPv6', [CALLS.socket, INET6, STREAM, 0]],
  ['a socket of netlink', [CALLS.socket, NETLINK, RAW, 0]],
  ['a socket of the virtual machine', [CALLS.socket, VSOCK, STREAM, 0]],
  ['a socket of packets', [CALLS.socket, PACKET, RAW, 0]],
  [
    'a socket whose family has other bits above those that the kernel takes',
    [CALLS.socket, 2 ** 32 + INET, STREAM, 0],
  ],
  ['a pair of sockets of TIPC', [CALLS.socketpair, TIPC, STREAM, 0, '*']],
  ['a ring, which makes sockets by another way', [IO_URING_SETUP, 1, 0]],
  ...(x64
    ? ([
        ['a socket by its x32 number', [X32 + CALLS.socket, INET, STREAM, 0]],
        ['a ring by its x32 number', [X32 + IO_URING_SETUP, 1, 0]],
      ] as [string, Call][])
    : []),
];
for (const [what, call] of REFUSED) {
  const tells = free(call)[0] !== EPERM;
  (tells ? test : test.skip)(
    `${what} is refused${tells ? '' : ': skipped, since this machine refuses it without the filter, too'}`,
    () => {
      expect(confined(call)).toEqual([EPERM]);
    },
  );
}

test('of all families, that of files is left', () => {
  const families = Array.from({ length: 64 }, (_, family) => family);
  const errors = confined(...families.map((family): Call => [CALLS.socket, family, DATAGRAM, 0]));
  expect(families.filter((family) => errors[family] !== EPERM)).toEqual([UNIX]);
  expect(
    confined([CALLS.socketpair, UNIX, STREAM, 0, '*'], [CALLS.socket, 2 ** 32 + UNIX, STREAM, 0]),
  ).toEqual([0, 0]);
});

test('what it starts is confined, too', () => {
  expect(errorsOf([CONFINED, 'sh', '-c', '"$@"', 'sh'], [[CALLS.socket, INET, STREAM, 0]])).toEqual([EPERM]);
});

/** A program that asks the kernel by the numbers of 32 bits, at which the filter does not look, and ends well. */
function oldProgram(file: string): void {
  const code = Buffer.from([
    ...[0xb8, 20, 0, 0, 0, 0xcd, 0x80], // getpid
    ...[0x31, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80], // exit(0)
  ]);
  const start = 0x400000;
  const head = Buffer.alloc(120);
  Buffer.from('7f454c46020101', 'hex').copy(head);
  head.writeUInt16LE(2, 16);
  head.writeUInt16LE(62, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(start + head.length), 24);
  head.writeBigUInt64LE(64n, 32);
  for (const [at, value] of [
    [52, 64],
    [54, 56],
    [56, 1],
  ] as const)
    head.writeUInt16LE(value, at);
  head.writeUInt32LE(1, 64);
  head.writeUInt32LE(5, 68);
  head.writeBigUInt64LE(BigInt(start), 80);
  for (const at of [96, 104]) head.writeBigUInt64LE(BigInt(head.length + code.length), at);
  head.writeBigUInt64LE(0x1000n, 112);
  writeFileSync(file, Buffer.concat([head, code]));
  chmodSync(file, 0o755);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'confined-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const old = mkdtempSync(join(tmpdir(), 'confined-old-'));
oldProgram(join(old, 'old'));
const runsOld = x64 && spawnSync(join(old, 'old')).status === 0;
afterAll(() => rmSync(old, { recursive: true, force: true }));
(runsOld ? test : test.skip)(
  `a program with another architecture’s calls is killed${runsOld ? '' : ': skipped, since this kernel has none'}`,
  () => {
    expect(spawnSync(CONFINED, [join(old, 'old')]).signal).toBe('SIGSYS');
  },
);

/** Runs it on a machine of another name. */
const onMachine = (machine: string): SpawnSyncReturns<string> =>
  spawnSync(
    'perl',
    [
      '-MPOSIX',
      '-e',
      `no warnings; *POSIX::uname = sub { ('') x 4, '${machine}' }; do shift or die $@`,
      CONFINED,
      'echo',
      'ran',
    ],
    { encoding: 'utf8' },
  );

test('on a machine that is not known nothing is run', () => {
  expect(onMachine(x64 ? 'x86_64' : 'aarch64')).toMatchObject({ status: 0, stdout: 'ran\n' });
  for (const machine of ['i686', 'riscv64', 'armv7l', '']) {
    const { status, stdout, stderr } = onMachine(machine);
    expect([machine, status !== 0, stdout]).toEqual([machine, true, '']);
    expect(stderr).toContain(`confined: ${machine} is not known`);
  }
});

test('of a machine that has another’s numbers nothing is left', () => {
  const { status, signal, stdout } = onMachine(x64 ? 'aarch64' : 'x86_64');
  expect([status !== 0 || signal !== null, stdout]).toEqual([true, '']);
});

test('a command that is none is a fault, and so is no command', () => {
  for (const args of [[], ['/none']]) expect(spawnSync(CONFINED, args).status).not.toBe(0);
});

const CONNECTING = `
  use Socket;
  my ($kind, $name) = @ARGV;
  socket my $socket, AF_UNIX, $kind eq 'datagram' ? SOCK_DGRAM : SOCK_STREAM, 0 or die $!;
  my $address = pack_sockaddr_un($name =~ s/^@/\\0/r);
  print +($kind eq 'datagram' ? send $socket, 'x', 0, $address : connect $socket, $address) ? 'reached' : $! + 0;
`;
/** How a program comes to a socket of files; `@` is an abstract one. */
const reaching = (before: readonly string[], kind: 'stream' | 'datagram', name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const [program = '', ...args] = [...before, 'perl', '-e', CONNECTING, kind, name];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(said));
  });

const LANDLOCK_CREATE_RULESET = 444;
const abi = Number(
  spawnSync('perl', ['-e', `print syscall(${LANDLOCK_CREATE_RULESET}, 0, 0, 1)`], { encoding: 'utf8' })
    .stdout,
);
const fences = abi >= 6;
const OPEN = 'confined: this kernel leaves abstract sockets open\n';

describe('sockets of files', () => {
  const abstract = `@confined-${process.pid}`;
  const servers: Server[] = [];
  const listening = (path: string): Promise<void> =>
    new Promise((resolve) => {
      servers.push(createServer((socket) => socket.end()).listen(path, resolve));
    });
  beforeAll(async () => {
    await listening(abstract.replace('@', '\0'));
    await listening(join(folder, 'socket'));
  });
  afterAll(() => {
    for (const server of servers) server.close();
  });

  test('one that is a file is reached', async () => {
    expect(await reaching([CONFINED], 'stream', join(folder, 'socket'))).toBe('reached');
  });

  (fences ? test : test.skip)(
    `one without a file, which the Pod’s containers share, is not${fences ? '' : ': skipped, since this kernel cannot fence it (Landlock’s ABI 6)'}`,
    async () => {
      expect(await reaching([], 'stream', abstract)).toBe('reached');
      expect(await reaching([CONFINED], 'stream', abstract)).toBe(String(EPERM));
      const from = spawn('perl', [
        '-e',
        `use Socket; socket my $s, AF_UNIX, SOCK_DGRAM, 0; bind $s, pack_sockaddr_un("\\0${abstract.slice(1)}-datagrams"); $| = 1; print "bound"; sleep 60`,
      ]);
      try {
        await new Promise((resolve) => from.stdout.once('data', resolve));
        expect(await reaching([], 'datagram', `${abstract}-datagrams`)).toBe('reached');
        expect(await reaching([CONFINED], 'datagram', `${abstract}-datagrams`)).toBe(String(EPERM));
      } finally {
        from.kill('SIGKILL');
      }
    },
  );

  test('where the kernel cannot fence those, that is said, and all else is refused', async () => {
    const { stderr } = spawnSync(CONFINED, ['true'], { encoding: 'utf8' });
    expect(stderr).toBe(fences ? '' : OPEN);
    // As under a kernel that is older than any.
    const older = join(folder, 'older');
    const text = readFileSync(CONFINED, 'utf8');
    expect(text).toContain('( 1, 6, 1 )');
    writeFileSync(older, text.replace('( 1, 6, 1 )', '( 1, 1000, 1 )'), { mode: 0o755 });
    expect(spawnSync(older, ['echo', 'ran'], { encoding: 'utf8' })).toMatchObject({
      stdout: 'ran\n',
      stderr: OPEN,
    });
    expect(await reaching([older], 'stream', abstract)).toBe('reached');
    expect(errorsOf([older], [[CALLS.socket, INET, STREAM, 0]])).toEqual([EPERM]);
  });
});
