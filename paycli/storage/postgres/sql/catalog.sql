-- All that holds the rules of the tables, a line each: `verify` compares them with catalog.txt.
SELECT regexp_replace(line, '\s+', ' ', 'g') FROM (
SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' not null' ELSE '' END
       || coalesce(' ' || (SELECT collname FROM pg_collation
                           WHERE pg_collation.oid = attcollation AND collname <> 'default'), '')
       || CASE WHEN attgenerated <> '' THEN ' ' || pg_get_expr(adbin, adrelid) ELSE '' END
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'paycli'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint
WHERE connamespace = 'paycli'::regnamespace AND contype IN ('c', 'p', 'u')
UNION ALL
SELECT 'index ' || indexrelid::regclass || ' ' || pg_get_indexdef(indexrelid)
       || CASE WHEN indisvalid AND indisready THEN '' ELSE ' invalid' END
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = 'paycli'::regnamespace
UNION ALL
SELECT 'trigger ' || tgname || ' ' || pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'paycli'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function ' || proname || ' ' || md5(prosrc)
FROM pg_proc
WHERE pronamespace = 'paycli'::regnamespace
) AS rule (line)
