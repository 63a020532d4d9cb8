import { type Transform, withArgs } from 'switchyard/transform';

/** Production's modules run on nodes of their own, and everything in a cluster says who pays for it. */
const transform: Transform = (declaration, { box, module }) => {
  if (!declaration.type.startsWith('kubernetes:')) return undefined;
  const paid = withArgs(declaration, { metadata: { annotations: { 'example.com/cost-centre': 'shop' } } });
  if (box !== 'production' || module === undefined || paid.type !== 'kubernetes:apps/v1:Deployment')
    return paid;
  return withArgs(paid, { spec: { template: { spec: { nodeSelector: { pool: 'production' } } } } });
};

export default transform;
