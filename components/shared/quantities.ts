export { bytesOf as bytes, millicoresOf as millicores } from '../../catalog/shapes';

/** Whole cores that hold so many thousandths. */
export const wholeCores = (millis: number): string => String(Math.ceil(millis / 1000));

/** Whole gibibytes that hold so many bytes. */
export const wholeGibibytes = (size: number): string => `${Math.ceil(size / 2 ** 30)}Gi`;
