-- Tables of followers.
SELECT 1;
