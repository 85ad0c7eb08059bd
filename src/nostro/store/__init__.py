"""PostgreSQL: the only room that talks to the driver. SQL is in .sql files that psql alone can read."""
