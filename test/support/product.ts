/** Folders of the product's code: what runs for a user. `lab` and `bench` drive it, `sdks` is generated. */
export const PRODUCT_FOLDERS = [
  'catalog',
  'clients',
  'components',
  'delivery',
  'operations',
  'policy',
  'rules',
  'stacks',
  'text',
] as const;
