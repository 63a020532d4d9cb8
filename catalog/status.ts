/**
 * Name of the one commit status that delivery posts. GitLab joins it to the head pipeline of its commit, and "pipelines
 * must succeed" waits for it; a second name by anyone would have to turn green as well.
 */
export const STATUS_NAME = 'switchyard';

/** Label that puts a merge request first in the merge queue, with all that it depends on. */
export const FIRST_LABEL = 'switchyard::first';

/**
 * Label by which a person has the queue merge what `merge: manual` leaves to people. It shares no scope with the one above: a
 * licensed GitLab lets a merge request have one label of a scope only.
 */
export const MERGE_LABEL = 'switchyard-merge';

/**
 * Where GitLab looks for a pipeline of its own in the projects that we make, and finds none. It would judge a merge request
 * by that one, and not by the one that has our status (PipelinesForMergeRequestFinder#sort).
 */
export const NO_CI_CONFIG = '.switchyard/gitlab-ci.yml';
