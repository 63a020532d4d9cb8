"""Orders: a small service that keeps orders in MySQL, caches them in Redis and records what happened in MongoDB."""
