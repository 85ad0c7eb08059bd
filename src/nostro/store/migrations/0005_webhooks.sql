-- Tables of webhooks.
SELECT 1;
