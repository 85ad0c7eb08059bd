-- Entries are found by position through summaries of a few pages each, which vacuum makes, once a minute at best. Whoever
-- reads the journal's end meanwhile would go through all pages written since.

-- Summarizes the newest pages, as many as are full; how many runs of pages that were. The last run is left alone: a
-- summary that exists is updated by every entry. Does nothing while vacuum is at the table, which does the same. Made by the
-- owner of the index, because nobody else may; 16 is its pages_per_range.
CREATE FUNCTION summarize_entries() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '20ms' AS $$
DECLARE
  run bigint := pg_relation_size('entries') / current_setting('block_size')::bigint / 16 - 1;
  made integer := 0;
BEGIN
  WHILE run >= 0 AND made < 512 AND brin_summarize_range('entries_position_idx', run * 16) > 0 LOOP
    run := run - 1;
    made := made + 1;
  END LOOP;
  RETURN made;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$;
REVOKE EXECUTE ON FUNCTION summarize_entries() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION summarize_entries() TO nostro_runtime;
