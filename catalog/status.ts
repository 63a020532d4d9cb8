/**
 * Name of the one commit status that delivery posts. GitLab joins it to the head pipeline of its commit, and "pipelines
 * must succeed" waits for it; a second name by anyone would have to turn green as well.
 */
export const STATUS_NAME = 'switchyard';

/**
 * Where GitLab looks for a pipeline of its own in the projects that we make, and finds none. It would judge a merge request
 * by that one, and not by the one that has our status (PipelinesForMergeRequestFinder#sort).
 */
export const NO_CI_CONFIG = '.switchyard/gitlab-ci.yml';
