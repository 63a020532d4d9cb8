"""The schema of the MySQL database, as the steps that lead to it."""

# Applied in order and recorded in schema_migrations; append only, never edit one that was released.
MIGRATIONS: tuple[tuple[int, str], ...] = (
    (
        1,
        """CREATE TABLE orders (
             id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
             customer VARCHAR(120) NOT NULL,
             item VARCHAR(120) NOT NULL,
             quantity INT UNSIGNED NOT NULL,
             created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
             KEY orders_customer (customer)
           ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    ),
    (2, "ALTER TABLE orders ADD COLUMN state VARCHAR(16) NOT NULL DEFAULT 'open'"),
)
