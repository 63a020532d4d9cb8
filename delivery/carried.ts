/** Names of the results files that are carried out of a test Pod, packed by gzip, and read. */
export const RESULT_FILES = ['output.xml', 'xunit.xml'] as const;

/** Bytes of one of them as packed: the pipeline carries it through Jenkins' memory. */
export const LARGEST_PACKED = 16 << 20;
