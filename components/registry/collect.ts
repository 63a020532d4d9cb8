/** ConfigMap whose presence asks the registry to collect garbage when it next starts; `delivery registry-gc` makes it. */
export const COLLECT_REQUEST = 'registry-collect';

/**
 * Shell that frees the blobs that no manifest names any more, before the registry serves. Distribution collects only
 * where nobody writes meanwhile: the Pod that is about to serve is the only one that mounts the images, so this is the
 * time. A registry that could not collect serves all the same, and so does one that took too long.
 */
export const collectScript = (config: string): string => `if [ ! -e /collect/requested ]; then exit 0; fi
# Debian's package calls the program docker-registry.
program=$(command -v registry || command -v docker-registry)
timeout 1800 "$program" garbage-collect ${config} > /tmp/collected 2>&1 \\
  || echo "garbage-collect failed; serving all the same"
tail -n 3 /tmp/collected
`;
