-- Every account counts in a known currency, with the places that this currency has.
SELECT 'account ' || encode(a.id, 'hex') AS offender,
       'counts ' || a.currency || ' with ' || a.exponent || ' places; the currency has '
       || coalesce(c.exponent::text, 'never been known') AS finding
  FROM accounts a
  LEFT JOIN currencies c ON c.code = a.currency
 WHERE c.exponent IS DISTINCT FROM a.exponent
 ORDER BY a.id LIMIT 1;
