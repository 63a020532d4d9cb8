// What the rendered page does in a browser: search, filters, deep links, keys. Without it the page is whole, only longer.
// `npm run generate:page` compiles it into operations/render/page/script.generated.ts.

/** Filters by the name that the address and the form have for them; the modules carry the same as `data-…`. */
const FILTERS = ['owner', 'service', 'environment', 'reached', 'merge'] as const;

const form = document.querySelector<HTMLFormElement>('#Filters');
const count = document.querySelector<HTMLElement>('#Count');
const none = document.querySelector<HTMLElement>('#None');
const modules = [...document.querySelectorAll<HTMLDetailsElement>('details.module')];

/** What is searched of each module, read once. */
const texts = new Map(
  modules.map((module) => [
    module,
    `${module.querySelector('summary')?.textContent ?? ''} ${module.dataset.find ?? ''}`.toLowerCase(),
  ]),
);

const field = (name: string): HTMLInputElement | HTMLSelectElement | undefined => {
  const found = form?.elements.namedItem(name);
  return found instanceof HTMLInputElement || found instanceof HTMLSelectElement ? found : undefined;
};

const chosen = (name: string): string => field(name)?.value.trim() ?? '';

/** Values of one kind that a module has: one a line. */
const valuesOf = (module: HTMLElement, name: string): string[] => (module.dataset[name] ?? '').split('\n');

function matches(module: HTMLDetailsElement, words: readonly string[]): boolean {
  const text = texts.get(module) ?? '';
  return (
    words.every((word) => text.includes(word)) &&
    FILTERS.every((name) => chosen(name) === '' || valuesOf(module, name).includes(chosen(name)))
  );
}

const shown = (): HTMLDetailsElement[] => modules.filter((module) => !module.hidden);

function apply(): void {
  const words = chosen('q').toLowerCase().split(/\s+/).filter(Boolean);
  for (const module of modules) module.hidden = !matches(module, words);
  const left = shown().length;
  if (count) {
    const all = `${modules.length} module${modules.length === 1 ? '' : 's'}`;
    count.textContent = left === modules.length ? all : `${left} of ${all}`;
  }
  if (none) none.hidden = left > 0;
}

/** The filters as they stand, as the part of the address after `#`; empty where none is set. */
function written(): string {
  const set = ['q', ...FILTERS]
    .map((name): [string, string] => [name, chosen(name)])
    .filter(([, value]) => value !== '');
  return set.length > 0 ? `#?${new URLSearchParams(set)}` : '';
}

/** Keeps the filters in the address, so that it can be sent to somebody, without a step in the history for each key. */
function remember(): void {
  history.replaceState(null, '', written() || location.href.replace(/#.*$/, ''));
}

function reset(): void {
  for (const name of ['q', ...FILTERS]) {
    const input = field(name);
    if (input) input.value = '';
  }
}

function open(module: HTMLDetailsElement): void {
  // A module that somebody was led to is shown, whatever was filtered before.
  if (module.hidden) {
    reset();
    apply();
  }
  module.open = true;
  module.scrollIntoView({ block: 'start' });
  module.querySelector('summary')?.focus({ preventScroll: true });
}

/** Goes where the address points: filters, a module, or what the browser finds by itself. */
function follow(): void {
  let target = location.hash.slice(1);
  if (target.startsWith('?')) {
    reset();
    for (const [name, value] of new URLSearchParams(target.slice(1))) {
      const input = field(name);
      if (input) input.value = value;
    }
    apply();
    document.querySelector('#Modules')?.scrollIntoView();
    return;
  }
  try {
    target = decodeURIComponent(target);
  } catch {
    return;
  }
  const module = modules.find(({ id }) => id === target);
  if (module) open(module);
}

/** The module whose row, or whose inside, has the focus. */
const focused = (): HTMLDetailsElement | undefined => {
  const found = document.activeElement?.closest('details.module');
  return found instanceof HTMLDetailsElement ? found : undefined;
};

function move(step: number): boolean {
  const rows = shown();
  const at = focused();
  const onRow = document.activeElement?.tagName === 'SUMMARY' && document.activeElement.parentElement === at;
  const inSearch = document.activeElement === field('q');
  if (!(onRow && at) && !(inSearch && step > 0)) return false;
  const next = at ? rows[rows.indexOf(at) + step] : rows[0];
  const to = next?.querySelector('summary') ?? (step < 0 ? field('q') : undefined);
  to?.focus();
  return true;
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing =
    event.target instanceof HTMLInputElement ||
    event.target instanceof HTMLSelectElement ||
    event.target instanceof HTMLTextAreaElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    field('q')?.focus();
  } else if (event.key === 'Escape' && document.activeElement === field('q')) {
    reset();
    apply();
    remember();
  } else if (event.key === 'Escape' && !typing) {
    const module = focused();
    if (!module?.open) return;
    module.open = false;
    module.querySelector('summary')?.focus();
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    if (typing && event.target !== field('q')) return;
    if (move(event.key === 'ArrowDown' ? 1 : -1)) event.preventDefault();
  }
});

form?.addEventListener('input', () => {
  apply();
  remember();
});
form?.addEventListener('submit', (event) => event.preventDefault());
form?.addEventListener('reset', () => {
  // The form's fields are emptied after this event.
  setTimeout(() => {
    reset();
    apply();
    remember();
  });
});

for (const module of modules) {
  module.querySelector('summary')?.addEventListener('click', () => {
    // What is open stands in the address; before the click it was as it is not going to be.
    history.replaceState(
      null,
      '',
      module.open ? written() || location.href.replace(/#.*$/, '') : `#${module.id}`,
    );
  });
}

const all = document.querySelector<HTMLButtonElement>('#OpenAll');
all?.addEventListener('click', () => {
  const rows = shown();
  const opened = rows.some((module) => !module.open);
  for (const module of rows) module.open = opened;
});

document.documentElement.classList.add('scripted');
addEventListener('hashchange', follow);
apply();
follow();
// The browser goes to the address's target itself when it has loaded, and takes the focus away.
addEventListener('load', () => setTimeout(follow));
