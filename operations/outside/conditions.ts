import { z } from 'zod';

/** Conditions as the API server tells them of an object; `type` is a word of Kubernetes' own. */
export const conditionsSchema = z
  .array(
    z.looseObject({
      type: z.string(),
      status: z.string(),
      reason: z.string().default(''),
      message: z.string().default(''),
    }),
  )
  .nullish();
