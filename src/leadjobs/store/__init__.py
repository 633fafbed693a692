"""Where jobs are kept: tables, statements (one ``.sql`` file each), migrations, and an embedded PostgreSQL."""
