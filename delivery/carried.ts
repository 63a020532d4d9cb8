/** Names of the results files that are carried out of a test Pod, packed by gzip, and read. */
export const RESULT_FILES = ['output.xml', 'xunit.xml'] as const;

/** Bytes of one of them as packed: the pipeline carries it through Jenkins' memory. */
export const LARGEST_PACKED = 16 << 20;

/** Files of the results that Jenkins keeps for people by name, where none is larger than {@link LARGEST_SHOWN}. */
export const SHOWN_FILES = [...RESULT_FILES, 'log.html', 'report.html'] as const;
export const LARGEST_SHOWN = 64 << 20;

/** Where a test Pod's container `carrier` puts what leaves the Pod; its agent reads it there. No other container has it. */
export const CARRIED_FOLDER = '/carried';
/** The most that lies there: both packed results, all files by name, and all results as one archive. */
export const CARRIED_DISK = '512Mi';

/** Bytes of what tests say that run.sh hands on. */
export const LARGEST_LOG = 8 << 20;
