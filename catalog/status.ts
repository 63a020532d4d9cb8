/**
 * Name of the one commit status that delivery posts. GitLab joins it to the head pipeline of its commit, and "pipelines
 * must succeed" waits for it; a second name by anyone would have to turn green as well.
 */
export const STATUS_NAME = 'switchyard';
