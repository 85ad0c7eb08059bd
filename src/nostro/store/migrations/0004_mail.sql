-- Tables of mail.
SELECT 1;
