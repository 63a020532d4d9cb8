/** A moment as people read it, whatever their zone. @param at milliseconds since 1970, or as ISO 8601 has it, in UTC */
export const moment = (at: number | string): string =>
  `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
