/**
 * The lab's fixed addresses. 198.18.0.0/15 is set aside for tests (RFC 2544), so it meets no real network.
 */
export const NODE_NAME = 'lab';
export const HOST_IP = '198.18.0.1';
export const NODE_IP = '198.18.0.2';
export const LINK_PREFIX = 30;
export const HOST_LINK = 'swy-host';
export const NODE_LINK = 'swy-node';
export const POD_BRIDGE = 'swy0';
/** Bridge on the host for the `RUN` steps of image builds; nothing is forwarded from it. */
export const BUILD_BRIDGE = 'swy-build';
export const BUILD_BRIDGE_ADDRESS = '198.18.1.1/24';
export const POD_CIDR = '198.18.128.0/17';
export const SERVICE_CIDR = '198.19.0.0/16';
export const API_SERVICE_IP = '198.19.0.1';
export const DNS_IP = '198.19.0.10';
export const CLUSTER_DOMAIN = 'cluster.local';
export const API_SERVER = `https://${NODE_IP}:6443`;
/** Upstream image registry of the lab, plain HTTP. Whoever reaches it reads: images of foreign code start from it. */
export const MIRROR = `${NODE_IP}:5000`;
/**
 * Where the lab pushes what {@link MIRROR} serves: the host's own loopback, to which neither Pods nor nodes have a way. Docker
 * speaks plain HTTP to 127.0.0.0/8.
 */
export const MIRROR_PUSH = '127.198.18.2:5001';
/** The topology's own registry (NodePort), plain HTTP. */
export const REGISTRY = `${NODE_IP}:30500`;
export const S3_ENDPOINT = `http://${NODE_IP}:9000`;
export const S3_REGION = 'us-east-1';
export const STATE_BUCKET = 'switchyard-state';
/** Another store with keys of its own, as another account has them. It outlives what it is a copy of. */
export const BACKUP_ENDPOINT = `http://${NODE_IP}:9001`;
export const BACKUP_BUCKET = 'switchyard-backup';
