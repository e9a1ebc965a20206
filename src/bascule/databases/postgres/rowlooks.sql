-- The rows of tables, looked at around a migration and around its rollback. `@schema@` stands for the quoted name of Bascule's
-- schema; functions and settings of ``preimages.sql`` are used.
--
-- A digest has for each column the sum of the hashes of its values as text, each seeded with the hash of its row's key: no order is
-- needed, and a value that stands in another row is another value. Who wrote is told by the server's counts of the transaction's own
-- work, whoever did it: a statement, a trigger, a function.

-- {"rows", "sums": {column: sum}}, or {"why"}.
CREATE OR REPLACE FUNCTION @schema@.rows_digest(rel oid, keyed text[], attributes text[], bound bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $digest$
DECLARE
  seed text := '0';
  whole text := '0';
  name text;
  place integer := 0;
  answer jsonb;
  bytes constant bigint := @schema@.preimage_size(rel, NULL);
BEGIN
  IF bytes > bound THEN
    RETURN jsonb_build_object('why', format('its %s are more than is read for such a look', pg_size_pretty(bytes)));
  END IF;
  IF (SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = rel) THEN
    RETURN jsonb_build_object('why', 'it is no table');
  END IF;
  IF attributes = '{}' THEN
    RETURN jsonb_build_object('why', 'it has no columns');
  END IF;
  IF row_security_active(rel) THEN
    RETURN jsonb_build_object('why', 'row security hides rows from this role');
  END IF;
  IF NOT has_table_privilege(rel, 'SELECT') THEN
    RETURN jsonb_build_object('why', 'this role may not read it');
  END IF;
  FOREACH name IN ARRAY coalesce(keyed, '{}') LOOP
    seed := format('hashtextextended(%s, %s)', @schema@.preimage_text(rel, name, 't'), seed);
  END LOOP;
  IF keyed IS NULL THEN
    FOREACH name IN ARRAY attributes LOOP
      place := place + 1;
      whole := format('hashint8extended(coalesce(hashtextextended(c%s, 0), 1), %s)', place, whole);
    END LOOP;
  END IF;
  EXECUTE format('SELECT jsonb_build_object(''rows'', count(*), ''sums'', jsonb_object(ARRAY[%s]::text[], ARRAY[%s]::text[])) '
    'FROM (SELECT %s AS seed%s FROM %s AS t OFFSET 0) AS r',
    (SELECT string_agg(quote_literal(a), ', ' ORDER BY at) FROM unnest(array_append(attributes, '')) WITH ORDINALITY AS x (a, at)),
    (SELECT string_agg(format('sum(hashtextextended(c%s, seed))::text', at), ', ' ORDER BY at) || ', '
      FROM unnest(attributes) WITH ORDINALITY AS x (a, at)) || CASE WHEN keyed IS NULL THEN format('sum(%s)::text', whole) ELSE 'NULL' END,
    seed,
    (SELECT string_agg(format(', %s AS c%s', @schema@.preimage_text(rel, a, 't'), at), '' ORDER BY at)
      FROM unnest(attributes) WITH ORDINALITY AS x (a, at)),
    @schema@.rows_only(rel))
  INTO answer;
  RETURN answer || jsonb_build_object('bytes', bytes);
END
$digest$;

-- The table as a query names it: rows of its children, which are tables of their own, are not its rows; those of its partitions are.
CREATE OR REPLACE FUNCTION @schema@.rows_only(rel oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $only$
BEGIN
  RETURN (SELECT format('%s%I.%I', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
END
$only$;

-- The columns that hold values of their own.
CREATE OR REPLACE FUNCTION @schema@.rows_columns(rel oid) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $columns$
BEGIN
  RETURN ARRAY(SELECT attname::text FROM pg_attribute
    WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum);
END
$columns$;

-- Whether that table still has all these columns.
CREATE OR REPLACE FUNCTION @schema@.rows_have(rel oid, names text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $have$
BEGIN
  RETURN names <@ @schema@.rows_columns(rel);
END
$have$;

-- Remember which tables there are as a transaction begins, which file each is in, and what the server has counted of them so far:
-- its counts of a session's work are not set back with each transaction.
CREATE OR REPLACE FUNCTION @schema@.rows_there() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $there$
BEGIN
  PERFORM set_config('bascule.tables', (SELECT coalesce(jsonb_object_agg(c.oid::text, jsonb_build_array(c.relfilenode::text,
      pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid), pg_stat_get_xact_tuples_deleted(c.oid))), '{}') FROM pg_class AS c
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relnamespace <> ALL (ARRAY['pg_catalog'::regnamespace::oid, 'information_schema'::regnamespace::oid])
      AND c.relnamespace <> to_regnamespace($own$@schema@$own$) AND c.relnamespace::regnamespace::text NOT LIKE 'pg!_%' ESCAPE '!')::text, true);
END
$there$;

CREATE OR REPLACE FUNCTION @schema@.rows_table() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $table$
BEGIN
  IF to_regclass($own$@schema@.rowlook$own$) IS NULL THEN
    CREATE TABLE @schema@.rowlook (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      migration text NOT NULL,
      run_id text NOT NULL,
      relation oid NOT NULL,
      relation_schema text NOT NULL,
      relation_name text NOT NULL,
      keyed text[],
      columns text[] NOT NULL DEFAULT '{}',
      before jsonb NOT NULL,
      keyed_after text[],
      columns_after text[],
      after jsonb,
      inserted bigint NOT NULL DEFAULT 0,
      updated bigint NOT NULL DEFAULT 0,
      deleted bigint NOT NULL DEFAULT 0,
      store text,
      begun jsonb,
      back jsonb,
      back_run text
    );
    PERFORM @schema@.preimage_close('rowlook');
  END IF;
END
$table$;

-- Whether there are rows that somebody else has written and committed since that snapshot: not visible in it, and of no transaction of ours.
-- A transaction of ours that wrote under a savepoint counts as somebody else's: then it is not known, and nothing is made of it.
CREATE OR REPLACE FUNCTION @schema@.rows_foreign(rel oid, seen_at text, ours jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $foreign$
DECLARE
  own constant numeric := pg_current_xact_id()::text::numeric;
  low constant bigint := own % 4294967296;
  horizon text;
  found boolean;
BEGIN
  IF seen_at IS NULL OR rel IS NULL THEN
    RETURN seen_at IS NULL;
  END IF;
  horizon := (pg_snapshot_xmin(seen_at::pg_snapshot)::text::numeric % 4294967296)::text;
  EXECUTE format($q$SELECT EXISTS (
    SELECT FROM (SELECT DISTINCT xmin AS x FROM %s WHERE xmin <> %L::xid AND age(xmin) <= age(%L::xid)) AS w,
      -- The 64 bits of which these are the low ones: the nearest to our own.
      LATERAL (SELECT (%L::numeric + (x::text::numeric - %L::numeric + 6442450944) %% 4294967296 - 2147483648)::text::xid8 AS whole) AS n
    WHERE NOT pg_visible_in_snapshot(whole, %L::pg_snapshot) AND pg_xact_status(whole) = 'committed' AND NOT %L::jsonb ? whole::text)$q$,
    @schema@.rows_only(rel), low::text, horizon, own::text, low::text, seen_at, coalesce(ours, '[]')) INTO found;
  RETURN found;
END
$foreign$;

-- In front of an up: how the rows of these tables are. Of `code` that nobody follows, and of triggers, any table may be written to:
-- as many are looked at as there is room for (200, and 40 are copied), those that are named in what is sent first; the ones that nothing was written to are
-- forgotten at the end.
CREATE OR REPLACE FUNCTION @schema@.rows_before(of_migration text, of_run text, tables jsonb, follow boolean, cascades boolean, code boolean, bound bigint, room bigint) RETURNS void
LANGUAGE plpgsql AS $before$
DECLARE
  named jsonb;
  rel oid;
  found oid[] := '{}';
  erased oid[] := '{}';
  wanted oid[] := '{}';
  wide oid[] := '{}';
  sent text;
  was jsonb;
  told jsonb;
  left_over bigint := bound;
  room_left bigint := room;
  number bigint;
  seen_at text;
BEGIN
  FOR named IN SELECT value FROM pg_catalog.jsonb_array_elements(tables) LOOP
    rel := @schema@.preimage_relation(pg_catalog.jsonb_extract_path_text(named, '0'), pg_catalog.jsonb_extract_path_text(named, '1'));
    found := pg_catalog.array_append(found, rel);
    IF pg_catalog.jsonb_extract_path_text(named, '2') = 'never' THEN
      erased := pg_catalog.array_append(erased, rel);
    ELSIF pg_catalog.jsonb_extract_path_text(named, '2') = 'copy' THEN
      wanted := pg_catalog.array_append(wanted, rel);
    END IF;
  END LOOP;
  was := @schema@.preimage_settings(NULL);
  IF NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  PERFORM @schema@.rows_table();
  -- What is done to a table is done to its children.
  FOR rel IN WITH RECURSIVE heirs (id) AS (
      SELECT i.inhrelid FROM pg_inherits AS i WHERE i.inhparent = ANY (found)
      UNION
      SELECT i.inhrelid FROM heirs JOIN pg_inherits AS i ON i.inhparent = heirs.id
    ) SELECT heirs.id FROM heirs JOIN pg_class AS c ON c.oid = heirs.id AND NOT c.relispartition LOOP
    found := array_append(found, rel);
    IF erased = '{}' THEN
      wanted := array_append(wanted, rel);
    END IF;
  END LOOP;
  IF follow THEN
    -- Tables whose rows change along with those of the others.
    wanted := ARRAY(WITH RECURSIVE follows (id) AS (
        SELECT w FROM unnest(wanted) AS w
        UNION
        SELECT k.conrelid FROM follows JOIN pg_constraint AS k ON k.confrelid = id AND k.contype = 'f'
          AND (cascades OR k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')))
      SELECT id FROM follows WHERE id IS NOT NULL);
    found := found || wanted;
  END IF;
  IF code OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = ANY (found) AND NOT tgisinternal AND tgenabled IN ('O', 'A')) THEN
    sent := left(current_query(), 100000);
    wide := ARRAY(SELECT c.oid FROM pg_class AS c
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND c.oid <> ALL (found)
        AND c.relnamespace <> ALL (ARRAY['pg_catalog'::regnamespace::oid, 'information_schema'::regnamespace::oid])
        AND c.relnamespace <> to_regnamespace($own$@schema@$own$) AND c.relnamespace::regnamespace::text NOT LIKE 'pg!_%' ESCAPE '!'
      ORDER BY strpos(sent, c.relname) = 0, c.relpages, c.oid LIMIT 200);
    found := found || wide;
    wanted := wanted || wide[1:40];
  END IF;
  PERFORM @schema@.rows_forget(r.id) FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND r.run_id <> of_run;
  FOR rel IN SELECT f FROM unnest(found) WITH ORDINALITY AS x (f, place) JOIN pg_class AS c ON c.oid = f AND c.relkind IN ('r', 'p')
      AND c.relpersistence <> 't' AND c.relnamespace <> ALL (ARRAY['pg_catalog'::regnamespace::oid, 'information_schema'::regnamespace::oid])
      AND c.relnamespace IS DISTINCT FROM to_regnamespace($own$@schema@$own$) ORDER BY place LOOP
    CONTINUE WHEN EXISTS (SELECT FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND r.relation = rel);
    seen_at := pg_current_snapshot()::text;
    IF rel = ANY (wide) THEN
      -- Only because it might be written to: that must neither wait for anybody nor keep the migration from running.
      BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE NOWAIT', @schema@.rows_only(rel));
        told := @schema@.rows_digest(rel, @schema@.preimage_key(rel, '{}'), @schema@.rows_columns(rel), left_over);
      EXCEPTION WHEN OTHERS THEN
        told := jsonb_build_object('why', sqlerrm);
      END;
    ELSE
      told := @schema@.rows_digest(rel, @schema@.preimage_key(rel, '{}'), @schema@.rows_columns(rel), left_over);
    END IF;
    left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
    INSERT INTO @schema@.rowlook (migration, run_id, relation, relation_schema, relation_name, keyed, columns, before)
    SELECT of_migration, of_run, rel, n.nspname, c.relname, @schema@.preimage_key(rel, '{}'), @schema@.rows_columns(rel),
      told || CASE WHEN rel = ANY (wide) THEN '{"wide": true}'::jsonb ELSE '{}'::jsonb END || jsonb_build_object('snapshot', seen_at)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel
    RETURNING id INTO number;
    IF told ? 'sums' AND (told ->> 'bytes')::bigint <= room_left AND rel = ANY (wanted) AND rel <> ALL (erased) THEN
      room_left := room_left - (told ->> 'bytes')::bigint;
      PERFORM @schema@.rows_copy(number);
    END IF;
  END LOOP;
  PERFORM @schema@.preimage_settings(was);
END
$before$;

-- In front of a statement that takes a table away, empties it or writes it anew: behind it nobody can see what others wrote until
-- then. The lock is the statement's own, taken first.
CREATE OR REPLACE FUNCTION @schema@.rows_last(of_migration text, rel oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $last$
DECLARE
  there constant jsonb := coalesce(nullif(current_setting('bascule.tables', true), ''), '{}');
  look record;
  number bigint;
  own bigint;
BEGIN
  IF rel IS NULL OR to_regclass($own$@schema@.rowlook$own$) IS NULL THEN
    RETURN;
  END IF;
  SELECT * INTO look FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND r.relation = rel AND r.before ? 'sums' AND NOT r.before ? 'last';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', @schema@.rows_only(rel));
  EXECUTE format('SELECT count(*) FROM %s', @schema@.rows_only(rel)) INTO number;
  SELECT coalesce(sum(pg_stat_get_xact_tuples_inserted(p) - pg_stat_get_xact_tuples_deleted(p)
      - coalesce((there -> p::text ->> 1)::bigint - (there -> p::text ->> 3)::bigint, 0)), 0) INTO own
  FROM (SELECT rel AS p UNION SELECT t.relid FROM pg_partition_tree(rel) AS t WHERE t.isleaf) AS parts;
  UPDATE @schema@.rowlook AS r SET before = r.before || jsonb_build_object('last', number <> (look.before ->> 'rows')::bigint + look.inserted - look.deleted + own
      OR @schema@.rows_foreign(rel, look.before ->> 'snapshot', look.before -> 'xids'))
  WHERE r.id = look.id;
END
$last$;

-- A copy of a small table, by which its rows can be made as they were where the way back leaves others.
CREATE OR REPLACE FUNCTION @schema@.rows_copy(its_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $copy$
DECLARE
  look record;
  its_store constant text := 'rowlook_' || its_id;
  copied jsonb;
BEGIN
  SELECT * INTO look FROM @schema@.rowlook WHERE id = its_id;
  EXECUTE format('CREATE TABLE @schema@.%I (row bigint GENERATED ALWAYS AS IDENTITY%s%s)', its_store,
    @schema@.preimage_numbered(', k# text COLLATE "C"', coalesce(cardinality(look.keyed), 0)),
    @schema@.preimage_numbered(', o# text COLLATE "C"', cardinality(look.columns)));
  PERFORM @schema@.preimage_close(its_store);
  EXECUTE format('INSERT INTO @schema@.%I (%s) SELECT %s FROM %s AS t', its_store,
    substr(@schema@.preimage_numbered(', k#', coalesce(cardinality(look.keyed), 0)) || @schema@.preimage_numbered(', o#', cardinality(look.columns)), 3),
    substr(@schema@.preimage_texts(look.relation, look.keyed, 't') || @schema@.preimage_texts(look.relation, look.columns, 't'), 3),
    @schema@.rows_only(look.relation));
  -- Somebody may have written between the look and the copy.
  copied := @schema@.rows_digest(look.relation, look.keyed, look.columns, 9223372036854775807);
  IF copied -> 'sums' = look.before -> 'sums' AND copied -> 'rows' = look.before -> 'rows' THEN
    UPDATE @schema@.rowlook SET store = its_store WHERE id = its_id;
  ELSE
    EXECUTE format('DROP TABLE @schema@.%I', its_store);
  END IF;
END
$copy$;

CREATE OR REPLACE FUNCTION @schema@.rows_forget(its_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $forget$
BEGIN
  IF to_regclass(format($own$@schema@.%I$own$, 'rowlook_' || its_id)) IS NOT NULL THEN
    EXECUTE format('DROP TABLE @schema@.%I', 'rowlook_' || its_id);
  END IF;
  DELETE FROM @schema@.rowlook WHERE id = its_id;
END
$forget$;

-- Make a table that nobody else wrote to as its copy is. Answers how many rows were taken away, changed and put back.
-- `anew`: take all rows away first; where they are only changed, a unique index may meet two of them half way.
CREATE OR REPLACE FUNCTION @schema@.rows_mend(its_id bigint, rel oid, anew boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $mend$
DECLARE
  look record;
  quiet text[];
  changeable text[];
  others text;
  name text;
  same text;
  goes boolean;
  taken bigint;
  given bigint;
  full_name constant text := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = rel);
  only_name constant text := @schema@.rows_only(rel);
BEGIN
  SELECT * INTO look FROM @schema@.rowlook WHERE id = its_id;
  quiet := ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = rel AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgparentid = 0);
  changeable := ARRAY(SELECT c FROM unnest(look.columns) WITH ORDINALITY AS x (c, at) JOIN pg_attribute AS a ON a.attrelid = rel AND a.attname = c
    WHERE a.attidentity <> 'a' AND c <> ALL (coalesce(look.keyed, '{}')) ORDER BY at);
  same := CASE WHEN look.keyed IS NOT NULL THEN @schema@.preimage_same_key(rel, look.keyed) END;
  goes := anew OR look.keyed IS NULL;
  IF NOT goes THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS t WHERE NOT EXISTS (SELECT FROM @schema@.%I AS s WHERE %s))', only_name, look.store, same) INTO goes;
  END IF;
  -- Rows of others that follow what happens here would be changed along.
  SELECT string_agg(DISTINCT conrelid::regclass::text, ', ') INTO others FROM pg_constraint AS k
  WHERE contype = 'f' AND confrelid = rel AND (goes AND (anew OR confdeltype IN ('c', 'n', 'd')) OR confupdtype IN ('c', 'n', 'd')
    AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attnum = ANY (k.confkey) AND a.attname = ANY (changeable)));
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'rows of % refer to it', others USING ERRCODE = '23001';
  END IF;
  FOREACH name IN ARRAY quiet LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', full_name, name);
  END LOOP;
  IF anew OR look.keyed IS NULL THEN
    EXECUTE format('DELETE FROM %s', only_name);
    GET DIAGNOSTICS taken = ROW_COUNT;
  ELSE
    EXECUTE format('DELETE FROM %s AS t WHERE NOT EXISTS (SELECT FROM @schema@.%I AS s WHERE %s)', only_name, look.store, same);
    GET DIAGNOSTICS taken = ROW_COUNT;
    -- Changed rows last, and in place: others may refer to them.
    given := 0;
    IF changeable <> '{}' THEN
      EXECUTE format('UPDATE %s AS t SET (%s) = ROW(%s) FROM @schema@.%I AS s WHERE %s AND ROW(true%s) IS DISTINCT FROM ROW(true%s)', only_name,
        (SELECT string_agg(format('%I', c), ', ' ORDER BY at) FROM unnest(changeable) WITH ORDINALITY AS x (c, at)),
        (SELECT string_agg(format('s.o%s::%s', array_position(look.columns, c), format_type(a.atttypid, -1)), ', ' ORDER BY at)
          FROM unnest(changeable) WITH ORDINALITY AS x (c, at) JOIN pg_attribute AS a ON a.attrelid = rel AND a.attname = c),
        look.store, same, @schema@.preimage_texts(rel, look.columns, 't'), @schema@.preimage_numbered(', s.o#', cardinality(look.columns)));
      GET DIAGNOSTICS given = ROW_COUNT;
    END IF;
    taken := taken + given;
  END IF;
  EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM @schema@.%I AS s WHERE %s ORDER BY s.row', full_name,
    (SELECT string_agg(format('%I', c), ', ' ORDER BY at) FROM unnest(look.columns) WITH ORDINALITY AS x (c, at)),
    @schema@.preimage_values(rel, look.columns), look.store,
    CASE WHEN anew OR look.keyed IS NULL THEN 'true' ELSE format('NOT EXISTS (SELECT FROM %s AS t WHERE %s)', only_name, same) END);
  GET DIAGNOSTICS given = ROW_COUNT;
  FOREACH name IN ARRAY quiet LOOP
    EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', full_name,
      CASE (SELECT tgenabled FROM pg_trigger WHERE tgrelid = rel AND tgname = name) WHEN 'A' THEN 'ALWAYS' ELSE '' END, name);
  END LOOP;
  RETURN jsonb_build_object('taken', taken, 'given', given);
END
$mend$;

-- At the end of each transaction of an up: who wrote to what. `final`: it is the last one, so that how the rows are now is how it left them.
CREATE OR REPLACE FUNCTION @schema@.rows_after(of_migration text, of_run text, code boolean, carries boolean, final boolean, bound bigint) RETURNS void
LANGUAGE plpgsql AS $after$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  -- Read once: a text of all tables, read for each of them again, costs the square of their number.
  there constant jsonb := coalesce(nullif(current_setting('bascule.tables', true), ''), '{}');
  seen record;
  left_over bigint := bound;
  told jsonb;
BEGIN
  IF to_regclass($own$@schema@.rowlook$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  FOR seen IN SELECT * FROM @schema@.rows_written(code OR EXISTS (SELECT FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND r.before ? 'wide')) LOOP
    UPDATE @schema@.rowlook AS r
    SET inserted = r.inserted + seen.inserted, updated = r.updated + seen.updated, deleted = r.deleted + seen.deleted,
      before = CASE WHEN r.before ? 'wide' THEN r.before || '{"written": true}'::jsonb ELSE r.before END
    WHERE r.migration = of_migration AND r.run_id = of_run
      AND (r.relation = seen.relation OR r.relation IN (SELECT a.relid FROM pg_partition_ancestors(seen.relation) AS a));
    IF NOT FOUND THEN
      INSERT INTO @schema@.rowlook (migration, run_id, relation, relation_schema, relation_name, before, inserted, updated, deleted)
      SELECT of_migration, of_run, c.oid, n.nspname, c.relname, jsonb_build_object('why', seen.why), seen.inserted, seen.updated, seen.deleted
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = seen.relation;
    END IF;
  END LOOP;
  UPDATE @schema@.rowlook AS r SET before = jsonb_set(r.before, '{xids}', coalesce(r.before -> 'xids', '[]') || to_jsonb(pg_current_xact_id()::text))
  WHERE r.migration = of_migration AND r.before ? 'snapshot';
  IF current_setting('track_counts') <> 'on' AND NOT EXISTS (SELECT FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND r.relation = 0) THEN
    INSERT INTO @schema@.rowlook (migration, run_id, relation, relation_schema, relation_name, before, updated)
    VALUES (of_migration, of_run, 0, '', '', '{"why": "track_counts is off, so that the server does not tell who writes to what"}', 1);
  END IF;
  IF final AND current_setting('track_counts') = 'on' THEN
    -- A look at a table that could have been written to, and was not, would hold what others do there against this migration.
    PERFORM @schema@.rows_forget(r.id) FROM @schema@.rowlook AS r
    WHERE r.migration = of_migration AND r.before ? 'wide' AND NOT r.before ? 'written' AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = r.relation);
  END IF;
  IF final AND carries THEN
    -- What is made here may take rows that the way back carries elsewhere.
    INSERT INTO @schema@.rowlook (migration, run_id, relation, relation_schema, relation_name, before)
    SELECT of_migration, of_run, c.oid, n.nspname, c.relname, '{"made": true}'
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relispartition AND n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema'])
      AND n.oid <> to_regnamespace($own$@schema@$own$) AND n.nspname NOT LIKE 'pg!_%' ESCAPE '!'
      AND NOT there ? c.oid::text;
  END IF;
  FOR seen IN SELECT r.id, r.relation, r.before FROM @schema@.rowlook AS r JOIN pg_class AS c ON c.oid = r.relation
    WHERE final AND r.migration = of_migration AND r.run_id = of_run AND (r.before ? 'sums' OR r.before ? 'made') LOOP
    told := @schema@.rows_digest(seen.relation, @schema@.preimage_key(seen.relation, '{}'), @schema@.rows_columns(seen.relation), left_over);
    left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
    UPDATE @schema@.rowlook AS r SET keyed_after = @schema@.preimage_key(r.relation, '{}'), columns_after = @schema@.rows_columns(r.relation),
      -- What TRUNCATE takes away is in none of the server's counts.
      after = told || CASE WHEN seen.before ? 'snapshot' AND @schema@.rows_foreign(seen.relation, seen.before ->> 'snapshot', seen.before -> 'xids')
        THEN '{"foreign": true}'::jsonb ELSE '{}'::jsonb END || CASE WHEN there -> seen.relation::text ->> 0
          IS DISTINCT FROM (SELECT c.relfilenode::text FROM pg_class AS c WHERE c.oid = seen.relation)
        THEN '{"rewritten": true}'::jsonb ELSE '{}'::jsonb END WHERE r.id = seen.id;
  END LOOP;
  -- A table that the migration took away and made anew under the same name goes on as that one.
  FOR seen IN SELECT r.id, c.oid AS relation FROM @schema@.rowlook AS r JOIN pg_class AS c
      ON c.oid = to_regclass(format('%I.%I', r.relation_schema, r.relation_name)) AND NOT there ? c.oid::text AND c.relkind IN ('r', 'p')
    WHERE final AND r.migration = of_migration AND r.run_id = of_run AND r.before ? 'last' AND NOT EXISTS (SELECT FROM pg_class AS g WHERE g.oid = r.relation) LOOP
    told := @schema@.rows_digest(seen.relation, @schema@.preimage_key(seen.relation, '{}'), @schema@.rows_columns(seen.relation), left_over);
    left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
    UPDATE @schema@.rowlook AS r SET keyed_after = @schema@.preimage_key(seen.relation, '{}'), columns_after = @schema@.rows_columns(seen.relation),
      after = told || jsonb_build_object('stands', seen.relation::text, 'rewritten', true) WHERE r.id = seen.id;
  END LOOP;
  PERFORM @schema@.preimage_settings(was);
END
$after$;

-- Tables that were there as the transaction began, and that it wrote rows to. An emptied table is told by its new file, which an
-- ALTER TABLE may give it too: asked only of `code` that parsing does not follow.
CREATE OR REPLACE FUNCTION @schema@.rows_written(code boolean)
RETURNS TABLE (relation oid, inserted bigint, updated bigint, deleted bigint, why text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $written$
DECLARE
  there constant jsonb := coalesce(nullif(current_setting('bascule.tables', true), ''), '{}');
BEGIN
  RETURN QUERY
    SELECT w.oid, w.ins, w.upd, w.del, 'nobody knew beforehand that the migration would write to it'
    FROM (
      SELECT c.oid, pg_stat_get_xact_tuples_inserted(c.oid) - (was ->> 1)::bigint AS ins,
        pg_stat_get_xact_tuples_updated(c.oid) - (was ->> 2)::bigint AS upd, pg_stat_get_xact_tuples_deleted(c.oid) - (was ->> 3)::bigint AS del
      FROM jsonb_each(there) AS t (id, was) JOIN pg_class AS c ON c.oid = t.id::oid
    ) AS w
    WHERE w.ins + w.upd + w.del > 0;
  IF code THEN
    RETURN QUERY SELECT c.oid, 0::bigint, 0::bigint, 0::bigint, 'it was emptied, or written anew, by code'
      FROM jsonb_each(there) AS t (id, was) JOIN pg_class AS c ON c.oid = t.id::oid AND c.relfilenode::text <> was ->> 0;
  END IF;
END
$written$;

-- In front of a down: which tables are still as the up left them.
CREATE OR REPLACE FUNCTION @schema@.rows_begun(of_migration text, bound bigint) RETURNS void LANGUAGE plpgsql AS $begun$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  look record;
  told jsonb;
  rel oid;
  names text[];
  left_over bigint := bound;
  seen_at text;
BEGIN
  IF @schema@.preimage_allowed() THEN
    PERFORM @schema@.rows_table();
    FOR look IN SELECT r.* FROM @schema@.rowlook AS r WHERE r.migration = of_migration AND (r.before ? 'sums' OR r.before ? 'made') ORDER BY r.id LOOP
      told := NULL;
      seen_at := pg_current_snapshot()::text;
      IF look.back IS NOT NULL THEN
        -- In front of what is put back once more, behind what was mended in other transactions: as the first time left it?
        rel := CASE WHEN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = look.relation) THEN look.relation
          ELSE to_regclass(format('%I.%I', look.relation_schema, look.relation_name))::oid END;
        names := ARRAY(SELECT k FROM jsonb_object_keys(look.back -> 'sums') AS k WHERE k <> '');
        IF rel IS NOT NULL AND look.back ? 'sums' AND @schema@.rows_have(rel, names || coalesce(look.keyed, '{}')) THEN
          told := @schema@.rows_digest(rel, look.keyed, names, left_over);
          left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
        END IF;
        told := jsonb_build_object('snapshot', coalesce(look.begun ->> 'snapshot', seen_at), 'xids', look.begun -> 'xids',
          'same', coalesce((look.begun ->> 'same')::boolean, false) AND (look.before ? 'made' OR NOT look.back ? 'sums'
          OR coalesce(told -> 'sums' = look.back -> 'sums' AND told -> 'rows' = look.back -> 'rows', false)));
      ELSIF EXISTS (SELECT FROM pg_class AS c WHERE c.oid IN (look.relation, (look.after ->> 'stands')::oid)) THEN
        rel := coalesce((look.after ->> 'stands')::oid, look.relation);
        IF look.after ? 'sums' AND @schema@.rows_have(rel, look.columns_after) THEN
          told := @schema@.rows_digest(rel, look.keyed_after, look.columns_after, left_over);
          left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
          told := told || jsonb_build_object('snapshot', seen_at, 'same', NOT look.after ? 'foreign' AND told -> 'sums' IS NOT DISTINCT FROM look.after -> 'sums' AND told -> 'rows' = look.after -> 'rows'
            -- What others wrote while the up ran is in one of its own two looks alone.
            AND (look.before ? 'made' OR look.after ? 'rewritten' OR (look.after ->> 'rows')::bigint = (look.before ->> 'rows')::bigint + look.inserted - look.deleted));
        END IF;
      ELSIF look.after IS NULL THEN
        -- The up took it away, and nobody has made one of that name since.
        told := jsonb_build_object('same', to_regclass(format('%I.%I', look.relation_schema, look.relation_name)) IS NULL);
      END IF;
      IF coalesce((look.before ->> 'last')::boolean, false) THEN
        -- Others wrote to it until it was taken away, emptied or written anew.
        told := told || '{"same": false}';
      END IF;
      UPDATE @schema@.rowlook AS r SET begun = told WHERE r.id = look.id;
    END LOOP;
  END IF;
  PERFORM @schema@.preimage_settings(was);
END
$begun$;

-- The rows as they are beside those of before: {"whole", "rows", "columns": that differ, "sums"}; {"why"} where they cannot be read.
CREATE OR REPLACE FUNCTION @schema@.rows_compared(its_id bigint, rel oid, bound bigint) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $compared$
DECLARE
  look record;
  told jsonb;
BEGIN
  SELECT * INTO look FROM @schema@.rowlook WHERE id = its_id;
  IF rel IS NULL THEN
    RETURN jsonb_build_object('whole', false, 'rows', 0);
  END IF;
  IF NOT @schema@.rows_have(rel, look.keyed) THEN
    RETURN jsonb_build_object('whole', false, 'columns', to_jsonb(look.keyed));
  END IF;
  told := @schema@.rows_digest(rel, look.keyed, ARRAY(SELECT c FROM unnest(look.columns) AS c WHERE c = ANY (@schema@.rows_columns(rel))), bound);
  IF told ? 'why' THEN
    RETURN told;
  END IF;
  RETURN told || jsonb_build_object('columns', (SELECT coalesce(jsonb_agg(b.key), '[]') FROM jsonb_each_text(look.before -> 'sums') AS b
      WHERE b.value IS DISTINCT FROM told -> 'sums' ->> b.key OR NOT told -> 'sums' ? b.key),
    'whole', told -> 'sums' = look.before -> 'sums' AND told -> 'rows' = look.before -> 'rows');
END
$compared$;

-- At the end of a down, with everything put back: which tables are as they were before the up.
CREATE OR REPLACE FUNCTION @schema@.rows_ended(of_migration text, by_run text, code boolean, bound bigint) RETURNS void LANGUAGE plpgsql AS $ended$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  look record;
  rel oid;
  told jsonb;
  mended jsonb;
  same boolean;
  left_over bigint := bound;
  alone boolean;
  counted jsonb;
  taken bigint;
BEGIN
  IF to_regclass($own$@schema@.rowlook$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  INSERT INTO @schema@.rowlook (migration, run_id, relation, relation_schema, relation_name, before, back, back_run)
  SELECT of_migration, by_run, c.oid, n.nspname, c.relname,
    jsonb_build_object('why', 'nobody knew beforehand that the way back would write to it'), jsonb_build_object('wrote', true), by_run
  FROM @schema@.rows_written(code) AS w JOIN pg_class AS c ON c.oid = w.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM @schema@.rowlook AS r WHERE r.migration = of_migration
    AND (r.relation = c.oid OR (r.relation_schema = n.nspname AND r.relation_name = c.relname)
      OR r.relation IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) AS a)));
  -- Asked before anything is mended. What was put back from what was kept counts as given.
  counted := (SELECT coalesce(jsonb_agg(jsonb_build_array(w.relation, w.deleted - w.inserted)), '[]') FROM @schema@.rows_written(false) AS w);
  alone := (SELECT coalesce(bool_and(coalesce((r.begun ->> 'same')::boolean, false)), false) FROM @schema@.rowlook AS r
    WHERE r.migration = of_migration);
  -- Twice: a row may refer to one that is put back only later.
  FOR look IN SELECT r.* FROM generate_series(1, 2) AS turn, @schema@.rowlook AS r WHERE r.migration = of_migration AND r.before ? 'sums'
      ORDER BY turn, r.id LOOP
    CONTINUE WHEN (SELECT coalesce((r.back ->> 'whole')::boolean, false) FROM @schema@.rowlook AS r WHERE r.id = look.id);
    rel := CASE WHEN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = look.relation) THEN look.relation
      ELSE to_regclass(format('%I.%I', look.relation_schema, look.relation_name))::oid END;
    same := coalesce((look.begun ->> 'same')::boolean, false);
    told := @schema@.rows_compared(look.id, rel, left_over);
    IF EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = rel AND (c.relname, n.nspname) IS DISTINCT FROM (look.relation_name::name, look.relation_schema::name)) THEN
      -- It goes by another name, and another table may go by its.
      told := (told - 'rows') || jsonb_build_object('whole', false, 'columns', '[]'::jsonb, 'renamed', true);
    ELSIF same AND look.begun ? 'snapshot' AND @schema@.rows_foreign(rel, look.begun ->> 'snapshot', look.begun -> 'xids') THEN
      -- What others committed while the way back ran is theirs.
      same := false;
      alone := false;
    END IF;
    left_over := left_over - coalesce((told ->> 'bytes')::bigint, 0);
    IF same AND alone AND look.store IS NOT NULL AND rel IS NOT NULL AND NOT coalesce((told ->> 'whole')::boolean, true)
        AND @schema@.rows_have(rel, look.columns) THEN
      BEGIN
        BEGIN
          mended := @schema@.rows_mend(look.id, rel, false);
        EXCEPTION WHEN unique_violation THEN
          mended := @schema@.rows_mend(look.id, rel, true);
        END;
        told := @schema@.rows_compared(look.id, rel, bound) || jsonb_build_object('mended', mended);
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation OR object_not_in_prerequisite_state THEN
        told := told || jsonb_build_object('failed', sqlerrm);
      END;
    END IF;
    taken := (SELECT coalesce(sum((c ->> 1)::bigint), 0) FROM jsonb_array_elements(counted) AS c
      WHERE (c ->> 0)::oid = rel OR rel IN (SELECT a.relid FROM pg_partition_ancestors((c ->> 0)::oid) AS a))
      -- Rows that came while the up ran, and were not counted, may be its own: of statements outside a transaction.
      - greatest(0, coalesce((look.after ->> 'rows')::bigint - (look.before ->> 'rows')::bigint - look.inserted + look.deleted, 0));
    UPDATE @schema@.rowlook AS r SET back = told || jsonb_build_object('same', same, 'alone', same AND alone, 'taken', taken), back_run = by_run
    WHERE r.id = look.id;
  END LOOP;
  UPDATE @schema@.rowlook AS r SET back = '{}', back_run = by_run WHERE r.migration = of_migration AND r.back IS NULL;
  PERFORM @schema@.preimage_settings(was);
END
$ended$;

-- What is known of a migration's tables.
CREATE OR REPLACE FUNCTION @schema@.rowlooks(of_migration text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $looks$
BEGIN
  IF NOT @schema@.preimage_allowed() THEN
    RETURN '[{"table": "any table", "name": "", "why": "this role may not make tables in the schema of Bascule", "inserted": 0, "changed": 1}]';
  END IF;
  IF to_regclass($own$@schema@.rowlook$own$) IS NULL THEN
    RETURN '[]';
  END IF;
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('table', CASE relation_name WHEN '' THEN 'any table' ELSE format('%I.%I', relation_schema, relation_name) END, 'name', relation_name,
      'why', coalesce(before ->> 'why', after ->> 'why', begun ->> 'why', back ->> 'why'), 'inserted', inserted, 'changed', updated + deleted,
      'before', before -> 'rows', 'kept', store IS NOT NULL, 'back', back, 'back_run', back_run) ORDER BY id), '[]')
    FROM @schema@.rowlook WHERE migration = of_migration AND NOT before ? 'made');
END
$looks$;

-- Tables in which there is still exactly what the end of the last way back has left there.
CREATE OR REPLACE FUNCTION @schema@.rows_as_left(of_migration text, bound bigint) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $left$
DECLARE
  look record;
  rel oid;
  names text[];
  told jsonb;
  answer jsonb := '[]';
BEGIN
  IF to_regclass($own$@schema@.rowlook$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    RETURN answer;
  END IF;
  FOR look IN SELECT * FROM @schema@.rowlook WHERE migration = of_migration AND back ? 'sums' ORDER BY id LOOP
    rel := to_regclass(format('%I.%I', look.relation_schema, look.relation_name));
    names := ARRAY(SELECT k FROM jsonb_object_keys(look.back -> 'sums') AS k WHERE k <> '');
    IF rel IS NOT NULL AND @schema@.rows_have(rel, names || coalesce(look.keyed, '{}')) THEN
      -- In the order in which they were looked at: the digest of whole rows depends on it.
      names := ARRAY(SELECT c FROM unnest(look.columns) WITH ORDINALITY AS x (c, at) WHERE c = ANY (names) ORDER BY at);
      told := @schema@.rows_digest(rel, look.keyed, names, bound);
      IF told -> 'sums' = look.back -> 'sums' AND told -> 'rows' = look.back -> 'rows' THEN
        answer := answer || to_jsonb(format('%I.%I', look.relation_schema, look.relation_name));
      END IF;
    END IF;
  END LOOP;
  RETURN answer;
END
$left$;

-- Of these tables, those that do not hold what was seen in them in front of that migration.
CREATE OR REPLACE FUNCTION @schema@.rows_not_as_before(of_migration text, names jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $proof$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  look record;
  answer jsonb := '[]';
BEGIN
  FOR look IN SELECT r.id, t.name FROM @schema@.rowlook AS r, LATERAL format('%I.%I', r.relation_schema, r.relation_name) AS t (name)
    WHERE r.migration = of_migration AND r.before ? 'sums' AND names ? t.name LOOP
    IF NOT coalesce((@schema@.rows_compared(look.id, to_regclass(look.name)::oid, 9223372036854775807) ->> 'whole')::boolean, false) THEN
      answer := answer || to_jsonb(look.name);
    END IF;
  END LOOP;
  PERFORM @schema@.preimage_settings(was);
  RETURN answer;
END
$proof$;

-- Throw away copies that are older.
CREATE OR REPLACE FUNCTION @schema@.rows_expire(seconds double precision) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $expire$
DECLARE
  old record;
BEGIN
  IF to_regclass($own$@schema@.rowlook$own$) IS NOT NULL AND @schema@.preimage_allowed() THEN
    FOR old IN SELECT id, store, back FROM @schema@.rowlook WHERE at < clock_timestamp() - make_interval(secs => seconds) LOOP
      IF old.back IS NOT NULL THEN
        PERFORM @schema@.rows_forget(old.id);
      ELSIF old.store IS NOT NULL THEN
        EXECUTE format('DROP TABLE IF EXISTS @schema@.%I', old.store);
        UPDATE @schema@.rowlook SET store = NULL WHERE id = old.id;
      END IF;
    END LOOP;
  END IF;
END
$expire$;
