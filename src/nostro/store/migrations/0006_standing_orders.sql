-- Tables of standing_orders.
SELECT 1;
