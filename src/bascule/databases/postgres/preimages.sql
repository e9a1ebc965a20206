-- What a migration destroys, kept before it does, and put back by its rollback. `@schema@` stands for the quoted name of
-- Bascule's schema.
--
-- The table `preimage` has a row for each statement that destroys something: what was kept (its store is a table
-- `preimage_<id>`), or why nothing was. A store has a key (k1, k2…), old values (o1, o2…), and for statements that overwrite
-- also what they wrote (n1, n2…), all as text: a column of the application's own type would keep that type from being dropped.
--
-- The script's search path, role and settings are those of its author; each function makes its own and puts them back.

-- How values become text, the same in every session. Answers what has to be set again afterwards.
CREATE OR REPLACE FUNCTION @schema@.preimage_settings(was jsonb) RETURNS jsonb LANGUAGE plpgsql AS $settings$
DECLARE
  name text;
  ours constant jsonb := '{"search_path": "pg_catalog, pg_temp", "datestyle": "ISO, MDY", "intervalstyle": "postgres",
    "timezone": "UTC", "bytea_output": "hex", "extra_float_digits": "1", "row_security": "off", "jit": "off"}';
  before jsonb := '{}';
BEGIN
  FOR name IN SELECT pg_catalog.jsonb_object_keys(ours) LOOP
    before := pg_catalog.jsonb_set(before, ARRAY[name], pg_catalog.to_jsonb(pg_catalog.current_setting(name)));
    PERFORM pg_catalog.set_config(name, coalesce(was, ours) ->> name, true);
  END LOOP;
  RETURN before;
END
$settings$;

-- Whether this role may keep something. One that was given leave to run migrations need not be the owner of Bascule's schema.
CREATE OR REPLACE FUNCTION @schema@.preimage_allowed() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $allowed$
DECLARE
  own constant oid := to_regnamespace($own$@own@$own$);
  registry constant oid := to_regclass($own$@own@.preimage$own$);
BEGIN
  RETURN (own IS NULL OR has_schema_privilege(own, 'CREATE'))
    AND (registry IS NULL OR pg_has_role((SELECT relowner FROM pg_class WHERE oid = registry), 'USAGE'));
END
$allowed$;

-- By what a row is found again: the columns of the primary key, or of a unique index over columns that are all NOT NULL;
-- none of them among those that the statement changes.
CREATE OR REPLACE FUNCTION @schema@.preimage_key(rel oid, without text[]) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $key$
BEGIN
  RETURN (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM (
      SELECT i.indexrelid, i.indkey, i.indisprimary, i.indnkeyatts FROM pg_index AS i
      WHERE i.indrelid = rel AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (
          SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS c (number, place)
          JOIN pg_attribute AS a ON a.attrelid = rel AND a.attnum = c.number
          WHERE c.place <= i.indnkeyatts AND (NOT a.attnotnull OR a.attname = ANY (without)))
      ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1
    ) AS chosen, unnest(chosen.indkey::int2[]) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute AS a ON a.attrelid = rel AND a.attnum = k.number
    WHERE k.place <= chosen.indnkeyatts);
END
$key$;

-- Bytes that a copy will take, more or less.
CREATE OR REPLACE FUNCTION @schema@.preimage_size(rel oid, its_columns text[]) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $size$
DECLARE
  whole bigint;
  known bigint;
BEGIN
  SELECT coalesce(sum(pg_table_size(p.relid)), 0) INTO whole
  FROM (SELECT relid::oid FROM pg_partition_tree(rel) UNION SELECT rel) AS p (relid);
  IF its_columns IS NULL THEN
    RETURN whole;
  END IF;
  SELECT greatest(c.reltuples, 0) * (48 + sum(s.avg_width)) INTO known
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = ANY (its_columns)
  WHERE c.oid = rel GROUP BY c.reltuples HAVING count(*) = cardinality(its_columns);
  RETURN least(whole, coalesce(known, whole));
END
$size$;

-- Why it cannot be kept, in words; NULL where it can.
CREATE OR REPLACE FUNCTION @schema@.preimage_doubt(rel oid, keep jsonb, budget bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $doubt$
DECLARE
  class pg_class;
  kind constant text := keep ->> 'kind';
  its_columns constant text[] := ARRAY(SELECT jsonb_array_elements_text(keep -> 'columns'));
  keyed constant text[] := @schema@.preimage_key(rel, CASE WHEN kind IN ('columns', 'update', 'retype') THEN its_columns ELSE '{}' END);
  bytes bigint;
  others text;
BEGIN
  IF keep ? 'why' THEN
    RETURN keep ->> 'why';
  END IF;
  IF NOT @schema@.preimage_allowed() THEN
    RETURN 'this role may not make tables in the schema of Bascule';
  END IF;
  SELECT * INTO class FROM pg_class WHERE oid = rel;
  IF class.relkind NOT IN ('r', 'p') THEN
    RETURN class.relname || ' is no table';
  END IF;
  IF class.relkind = 'r' AND class.relhassubclass THEN
    RETURN class.relname || ' has children, whose rows share no key';
  END IF;
  IF row_security_active(rel) THEN
    RETURN 'row security hides rows of ' || class.relname || ' from this role';
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN 'the transaction is ' || current_setting('transaction_isolation') || ', in which the newest rows are not seen';
  END IF;
  IF class.relhasrules AND kind IN ('update', 'delete') THEN
    RETURN class.relname || ' has rules, which may send the change elsewhere';
  END IF;
  IF kind <> 'table' AND keyed IS NULL THEN
    RETURN CASE WHEN @schema@.preimage_key(rel, '{}') IS NULL THEN class.relname || ' has no key by which its rows could be found again'
      ELSE 'the key of ' || class.relname || ' itself is changed' END;
  END IF;
  IF kind = 'delete' THEN
    SELECT string_agg(DISTINCT conrelid::regclass::text, ', ') INTO others
    FROM pg_constraint WHERE contype = 'f' AND confrelid = rel AND confdeltype IN ('c', 'n', 'd') AND conrelid <> rel;
    IF others IS NOT NULL THEN
      RETURN 'rows of ' || others || ' that refer to it change along with it';
    END IF;
  END IF;
  bytes := @schema@.preimage_size(rel, CASE WHEN kind IN ('columns', 'update', 'retype') THEN keyed || its_columns END);
  IF bytes > budget THEN
    RETURN pg_size_pretty(bytes) || ' are more than the ' || pg_size_pretty(budget) || ' that may be kept beside the tables';
  END IF;
  RETURN NULL;
END
$doubt$;

-- What becomes of each statement that destroys, asked beforehand, in the script's search path: {"there", "why", "rows", "bytes"}.
CREATE OR REPLACE FUNCTION @schema@.preimage_assess(keeps jsonb, budget bigint) RETURNS jsonb LANGUAGE plpgsql AS $assess$
DECLARE
  keep jsonb;
  answers jsonb[] := '{}';
BEGIN
  FOR keep IN SELECT value FROM pg_catalog.jsonb_array_elements(keeps) LOOP
    answers := pg_catalog.array_append(answers, @schema@.preimage_assess_one(keep, @schema@.preimage_relation(
      pg_catalog.jsonb_extract_path_text(keep, 'schema'), pg_catalog.jsonb_extract_path_text(keep, 'name')), budget));
  END LOOP;
  RETURN pg_catalog.to_jsonb(answers);
END
$assess$;

CREATE OR REPLACE FUNCTION @schema@.preimage_assess_one(keep jsonb, rel oid, budget bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $assess_one$
BEGIN
  IF rel IS NULL THEN
    RETURN jsonb_build_object('there', false, 'why', keep ->> 'why');
  END IF;
  RETURN jsonb_build_object('there', true, 'why', @schema@.preimage_doubt(rel, keep, budget), 'bytes', @schema@.preimage_size(rel, NULL),
    'rows', (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = rel));
END
$assess_one$;

-- A table by its name, looked for as the script would. NULL where there is none.
CREATE OR REPLACE FUNCTION @schema@.preimage_relation(its_schema text, its_name text) RETURNS oid LANGUAGE plpgsql STABLE AS $relation$
BEGIN
  RETURN pg_catalog.to_regclass(CASE WHEN its_schema IS NULL THEN pg_catalog.format('%I', its_name)
    ELSE pg_catalog.format('%I.%I', its_schema, its_name) END)::pg_catalog.oid;
END
$relation$;

-- An expression that is a column's value as text. Casts that somebody made for types of their own are not asked.
CREATE OR REPLACE FUNCTION @schema@.preimage_text(rel oid, attribute text, alias text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $text$
DECLARE
  own boolean;
BEGIN
  SELECT t.typnamespace = 'pg_catalog'::regnamespace INTO own
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE a.attrelid = rel AND a.attname = attribute;
  RETURN format(CASE WHEN own THEN '((%1$I.%2$I)::pg_catalog.text COLLATE pg_catalog."C")'
    ELSE '(CASE WHEN pg_catalog.num_nonnulls(%1$I.%2$I) = 1 THEN pg_catalog.concat(%1$I.%2$I) END COLLATE pg_catalog."C")' END, alias, attribute);
END
$text$;

-- Expressions for all of these columns, with a comma before each.
CREATE OR REPLACE FUNCTION @schema@.preimage_texts(rel oid, attributes text[], alias text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $texts$
BEGIN
  RETURN coalesce((SELECT string_agg(', ' || @schema@.preimage_text(rel, name, alias), '' ORDER BY place)
    FROM unnest(attributes) WITH ORDINALITY AS a (name, place)), '');
END
$texts$;

-- The condition that a row t of the table is the row s of the store. By values where that is the same, for then the index of the
-- key serves; texts under a collation of their own are compared as texts.
CREATE OR REPLACE FUNCTION @schema@.preimage_same_key(rel oid, keyed text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $same$
BEGIN
  RETURN (
    SELECT string_agg(CASE WHEN a.attcollation = 0 AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b'
        THEN format('t.%I = s.k%s::%s', name, place, format_type(a.atttypid, -1))
        ELSE format('%s = s.k%s', @schema@.preimage_text(rel, name, 't'), place) END, ' AND ')
    FROM unnest(keyed) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = rel AND a.attname = k.name AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid);
END
$same$;

-- Numbered columns of a store, with a comma before each.
CREATE OR REPLACE FUNCTION @schema@.preimage_numbered(pattern text, many integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $numbered$
BEGIN
  RETURN coalesce((SELECT string_agg(replace(pattern, '#', number::text), '' ORDER BY number) FROM generate_series(1, many) AS number), '');
END
$numbered$;

-- Keep what the statement that follows will destroy. The lock is the statement's own, taken first: what is copied then is what
-- will be destroyed, to the last committed row.
CREATE OR REPLACE FUNCTION @schema@.preimage_keep(of_migration text, of_run text, keep jsonb, budget bigint) RETURNS void
LANGUAGE plpgsql AS $keep$
DECLARE
  rel constant oid := @schema@.preimage_relation(
    pg_catalog.jsonb_extract_path_text(keep, 'schema'), pg_catalog.jsonb_extract_path_text(keep, 'name'));
  was constant jsonb := @schema@.preimage_settings(NULL);
  kind constant text := keep ->> 'kind';
  its_columns text[] := ARRAY(SELECT pg_catalog.jsonb_array_elements_text(keep -> 'columns'));
  keyed text[];
  why text;
  number bigint;
  name text;
  its_store text;
  sequences jsonb;
  copied bigint;
  attributes jsonb;
  full_name text;
  has_rows boolean;
  copy text;
  find text;
  of_tables oid[];
  places tid[];
  old record;
BEGIN
  IF rel IS NULL AND NOT keep ? 'why' OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  IF to_regclass($own$@schema@.preimage$own$) IS NULL THEN
    CREATE TABLE @schema@.preimage (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      migration text NOT NULL,
      run_id text NOT NULL,
      ordinal integer NOT NULL,
      kind text NOT NULL,
      words text NOT NULL,
      relation oid,
      relation_schema text,
      relation_name text,
      key_columns text[],
      columns text[],
      attributes jsonb,
      sequences jsonb,
      store text,
      rows bigint,
      why text,
      tried jsonb,
      back jsonb,
      back_run text
    );
    PERFORM @schema@.preimage_close('preimage');
  END IF;
  -- What an earlier run kept belongs to a state that is no more.
  FOR old IN SELECT p.id, p.store FROM @schema@.preimage AS p WHERE p.migration = of_migration AND p.run_id <> of_run LOOP
    IF old.store IS NOT NULL THEN
      EXECUTE format('DROP TABLE IF EXISTS @schema@.%I', old.store);
    END IF;
    DELETE FROM @schema@.preimage AS p WHERE p.id = old.id;
  END LOOP;
  IF NOT keep ? 'why' AND EXISTS (SELECT FROM pg_class WHERE oid = rel AND relkind IN ('r', 'p')) THEN
    EXECUTE format('LOCK TABLE %s IN %s MODE', rel::regclass,
      CASE WHEN kind IN ('update', 'delete') THEN 'SHARE ROW EXCLUSIVE' ELSE 'ACCESS EXCLUSIVE' END);
  END IF;
  IF kind IN ('table', 'rebuilt', 'retype') THEN
    PERFORM @schema@.rows_last(of_migration, rel);
  END IF;
  why := @schema@.preimage_doubt(rel, keep, budget);
  full_name := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = rel AND c.relkind IN ('r', 'p') AND NOT row_security_active(rel));
  has_rows := true;
  IF full_name IS NOT NULL THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', full_name) INTO has_rows;
    IF NOT has_rows THEN
      -- Nothing is destroyed, whatever could not have been kept.
      why := NULL;
    END IF;
  END IF;
  keyed := @schema@.preimage_key(rel, CASE WHEN kind IN ('columns', 'update', 'retype') THEN its_columns ELSE '{}' END);
  IF why IS NULL THEN
    IF kind IN ('table', 'delete') THEN
      its_columns := ARRAY(SELECT attname FROM pg_attribute
        WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum);
    ELSE
      its_columns := ARRAY(SELECT attname FROM pg_attribute
        WHERE attrelid = rel AND attname = ANY (its_columns) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum);
      IF its_columns = '{}' THEN
        PERFORM @schema@.preimage_settings(was);
        RETURN;
      END IF;
    END IF;
    SELECT jsonb_object_agg(attname, attnum) INTO attributes FROM pg_attribute WHERE attrelid = rel AND attname = ANY (its_columns);
    IF kind = 'table' THEN
      SELECT jsonb_object_agg(a.attname, jsonb_build_object('last', s.last_value, 'name', s.schemaname || '.' || s.sequencename))
      INTO sequences
      FROM pg_attribute AS a
      JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = rel AND d.refobjsubid = a.attnum
        AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_sequences AS s ON s.schemaname = n.nspname AND s.sequencename = c.relname
      WHERE a.attrelid = rel AND s.last_value IS NOT NULL;
    END IF;
  END IF;
  INSERT INTO @schema@.preimage (migration, run_id, ordinal, kind, words, relation, relation_schema, relation_name, key_columns,
    columns, attributes, sequences, why)
  SELECT of_migration, of_run, (keep ->> 'ordinal')::integer, kind, keep ->> 'words', rel, n.nspname, c.relname, keyed,
    its_columns, attributes, sequences, why
  FROM (SELECT rel) AS one (id) LEFT JOIN pg_class AS c ON c.oid = one.id LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
  RETURNING id INTO number;
  IF why IS NULL THEN
    IF NOT has_rows THEN
      UPDATE @schema@.preimage AS p SET rows = 0 WHERE p.id = number;
      PERFORM @schema@.preimage_settings(was);
      RETURN;
    END IF;
    its_store := 'preimage_' || number;
    EXECUTE format('CREATE TABLE @schema@.%I (same boolean NOT NULL DEFAULT true%s%s)', its_store,
      @schema@.preimage_numbered(', k# text COLLATE "C"', coalesce(cardinality(keyed), 0)),
      @schema@.preimage_numbered(', o# text COLLATE "C"', cardinality(its_columns)));
    PERFORM @schema@.preimage_close(its_store);
    copy := format('INSERT INTO @schema@.%I (same%s%s) SELECT true%s%s FROM %s AS t', its_store,
      @schema@.preimage_numbered(', k#', coalesce(cardinality(keyed), 0)), @schema@.preimage_numbered(', o#', cardinality(its_columns)),
      @schema@.preimage_texts(rel, keyed, 't'), @schema@.preimage_texts(rel, its_columns, 't'), full_name);
    IF keep ->> 'where' IS NULL THEN
      EXECUTE copy;
    ELSE
      -- The condition is the author's and means what it does under the author's settings, which are not those for texts.
      find := format(E'SELECT pg_catalog.array_agg(%1$I.tableoid), pg_catalog.array_agg(%1$I.ctid) FROM %2$s AS %1$I WHERE %3$s\n',
        coalesce(keep ->> 'alias', keep ->> 'name'), full_name, keep ->> 'where');
      PERFORM @schema@.preimage_settings(was);
      EXECUTE find INTO of_tables, places;
      PERFORM @schema@.preimage_settings(NULL);
      EXECUTE copy || ' JOIN unnest($1, $2) AS found (of_table, place) ON found.of_table = t.tableoid AND found.place = t.ctid'
      USING of_tables, places;
    END IF;
    GET DIAGNOSTICS copied = ROW_COUNT;
    UPDATE @schema@.preimage AS p SET store = its_store, rows = copied WHERE p.id = number;
    EXECUTE format('ANALYZE @schema@.%I', its_store);
  END IF;
  PERFORM @schema@.preimage_settings(was);
END
$keep$;

-- Nobody but its owner may read it, whatever default privileges say.
CREATE OR REPLACE FUNCTION @schema@.preimage_close(relation text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $close$
DECLARE
  whom text;
BEGIN
  FOR whom IN
    SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.oid = to_regnamespace($own$@schema@$own$)
    CROSS JOIN LATERAL aclexplode(c.relacl) AS g
    WHERE c.relname = relation AND g.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON @schema@.%I FROM %s', relation, whom);
  END LOOP;
END
$close$;

-- After a statement that changed rows: what it wrote, and only the rows that it did change.
CREATE OR REPLACE FUNCTION @schema@.preimage_after(of_migration text, of_run text, its_ordinal integer) RETURNS void
LANGUAGE plpgsql AS $after$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  kept record;
  many integer;
  changed bigint;
BEGIN
  IF to_regclass($own$@schema@.preimage$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  FOR kept IN
    SELECT p.* FROM @schema@.preimage AS p
    WHERE p.migration = of_migration AND p.run_id = of_run AND p.ordinal = its_ordinal AND p.store IS NOT NULL
      AND p.kind IN ('update', 'retype', 'delete') AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p.relation)
  LOOP
    IF kept.kind = 'delete' THEN
      EXECUTE format('DELETE FROM @schema@.%I AS s USING %s AS t WHERE %s', kept.store, kept.relation::regclass,
        @schema@.preimage_same_key(kept.relation, kept.key_columns));
      GET DIAGNOSTICS changed = ROW_COUNT;
      changed := kept.rows - changed;
    ELSE
      -- Into a new table: most rows of the first one may be such as did not change.
      many := cardinality(kept.columns);
      EXECUTE format('CREATE TABLE @schema@.%I (same boolean NOT NULL DEFAULT true%s%s%s)', kept.store || '_both',
        @schema@.preimage_numbered(', k# text COLLATE "C"', cardinality(kept.key_columns)),
        @schema@.preimage_numbered(', o# text COLLATE "C"', many), @schema@.preimage_numbered(', n# text COLLATE "C"', many));
      EXECUTE format('INSERT INTO @schema@.%I SELECT true%s%s%s FROM @schema@.%I AS s JOIN %s AS t ON %s '
        'WHERE ROW(true%s) IS DISTINCT FROM ROW(true%s)', kept.store || '_both',
        @schema@.preimage_numbered(', s.k#', cardinality(kept.key_columns)), @schema@.preimage_numbered(', s.o#', many),
        @schema@.preimage_texts(kept.relation, kept.columns, 't'), kept.store, kept.relation::regclass,
        @schema@.preimage_same_key(kept.relation, kept.key_columns),
        @schema@.preimage_numbered(', s.o#', many), @schema@.preimage_texts(kept.relation, kept.columns, 't'));
      GET DIAGNOSTICS changed = ROW_COUNT;
      EXECUTE format('DROP TABLE @schema@.%I', kept.store);
      EXECUTE format('ALTER TABLE @schema@.%I RENAME TO %I', kept.store || '_both', kept.store);
      PERFORM @schema@.preimage_close(kept.store);
      EXECUTE format('ANALYZE @schema@.%I', kept.store);
    END IF;
    UPDATE @schema@.preimage AS p SET rows = changed WHERE p.id = kept.id;
  END LOOP;
  PERFORM @schema@.preimage_settings(was);
END
$after$;

-- The names that columns have now: a renamed column keeps its number. NULL for one that is not there.
CREATE OR REPLACE FUNCTION @schema@.preimage_now(rel oid, kept_rel oid, its_columns text[], attributes jsonb, by_name boolean) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $now$
BEGIN
  RETURN ARRAY(
    SELECT (SELECT a.attname::text FROM pg_attribute AS a
      WHERE a.attrelid = rel AND NOT a.attisdropped AND a.attnum > 0 AND a.attgenerated = '' AND CASE WHEN by_name OR rel <> kept_rel
        THEN a.attname = c.name ELSE a.attnum = (attributes ->> c.name)::int2 END)
    FROM unnest(its_columns) WITH ORDINALITY AS c (name, place) ORDER BY c.place);
END
$now$;

-- Before the way back begins: which of the overwritten values are still as the migration wrote them. Others are somebody's later
-- work and stay.
CREATE OR REPLACE FUNCTION @schema@.preimage_look(of_migration text) RETURNS void LANGUAGE plpgsql AS $look$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  kept record;
  names text[];
  keyed text[];
BEGIN
  IF to_regclass($own$@schema@.preimage$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  FOR kept IN
    SELECT p.* FROM @schema@.preimage AS p
    WHERE p.migration = of_migration AND p.store IS NOT NULL AND p.kind IN ('update', 'retype')
      AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p.relation) ORDER BY p.id DESC
  LOOP
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', kept.relation::regclass);
    names := @schema@.preimage_now(kept.relation, kept.relation, kept.columns, kept.attributes, false);
    keyed := @schema@.preimage_now(kept.relation, kept.relation, kept.key_columns, '{}', true);
    IF array_position(names, NULL) IS NULL AND array_position(keyed, NULL) IS NULL THEN
      EXECUTE format('UPDATE @schema@.%I AS s SET same = false FROM %s AS t WHERE %s AND ROW(true%s) IS DISTINCT FROM ROW(true%s)',
        kept.store, kept.relation::regclass, @schema@.preimage_same_key(kept.relation, keyed),
        @schema@.preimage_texts(kept.relation, names, 't'), @schema@.preimage_numbered(', s.n#', cardinality(names)));
    END IF;
  END LOOP;
  PERFORM @schema@.preimage_settings(was);
END
$look$;

-- Put back. `final`: this is the end of the way back, and what came of it is written down; otherwise a try in between, so that what
-- the down script does next (SET NOT NULL, a unique index) finds the values there.
CREATE OR REPLACE FUNCTION @schema@.preimage_back(of_migration text, by_run text, final boolean, with_tables boolean) RETURNS void LANGUAGE plpgsql AS $back$
DECLARE
  was constant jsonb := @schema@.preimage_settings(NULL);
  kept record;
  rel oid;
  told jsonb;
BEGIN
  IF to_regclass($own$@schema@.preimage$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    PERFORM @schema@.preimage_settings(was);
    RETURN;
  END IF;
  FOR kept IN
    SELECT p.* FROM @schema@.preimage AS p
    WHERE p.migration = of_migration AND (p.back IS NULL OR p.back ? 'failed') AND p.store IS NOT NULL AND (final OR p.kind = 'columns' OR p.kind = 'table' AND with_tables)
    ORDER BY p.id DESC
  LOOP
    rel := CASE WHEN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = kept.relation) THEN kept.relation
      ELSE @schema@.preimage_relation(kept.relation_schema, kept.relation_name) END;
    IF kept.tried IS NOT NULL THEN
      told := kept.tried;
    ELSIF rel IS NULL THEN
      told := jsonb_build_object('failed', kept.relation_name || ' is not there');
    ELSE
      BEGIN
        told := @schema@.preimage_back_one(kept.id, rel);
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation THEN
        told := jsonb_build_object('failed', sqlerrm);
      END;
    END IF;
    IF NOT final AND kept.kind = 'table' AND NOT told ? 'failed' THEN
      -- The rows are there: what the down script does to them from here on is its author's will.
      UPDATE @schema@.preimage AS p SET tried = told WHERE p.id = kept.id;
    END IF;
    IF final THEN
      IF NOT told ? 'failed' THEN
        EXECUTE format('DROP TABLE @schema@.%I', kept.store);
      END IF;
      UPDATE @schema@.preimage AS p
      SET back = told, back_run = by_run, store = CASE WHEN told ? 'failed' THEN p.store END WHERE p.id = kept.id;
    END IF;
  END LOOP;
  IF final THEN
    UPDATE @schema@.preimage AS p SET back = '{}', back_run = by_run WHERE p.migration = of_migration AND p.back IS NULL;
  END IF;
  PERFORM @schema@.preimage_settings(was);
END
$back$;

-- Set a sequence to where it was, unless it has come further since: a number is not given out twice.
CREATE OR REPLACE FUNCTION @schema@.preimage_forward(its_name text, last bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $forward$
DECLARE
  behind boolean;
BEGIN
  IF its_name IS NOT NULL THEN
    EXECUTE format('SELECT (s.last_value < $1) = (q.seqincrement > 0) AND s.last_value <> $1 OR NOT s.is_called AND s.last_value = $1 '
      'FROM %s AS s, pg_sequence AS q WHERE q.seqrelid = %L::regclass', its_name, its_name) INTO behind USING last;
    IF behind THEN
      PERFORM setval(its_name, last);
    END IF;
  END IF;
END
$forward$;

-- One store. Answers {"rows": put back, "gone": rows no longer there, "changed": changed since, "newer": written since}.
CREATE OR REPLACE FUNCTION @schema@.preimage_back_one(its_id bigint, rel oid) RETURNS jsonb
LANGUAGE plpgsql AS $one$
DECLARE
  kept record;
  many integer;
  names text[];
  keyed text[];
  missing text;
  overwritten text;
  quiet text[];
  name text;
  done bigint := 0;
  alike bigint := 0;
  changed bigint := 0;
  newer bigint;
  owned record;
BEGIN
  SELECT * INTO kept FROM @schema@.preimage WHERE id = its_id;
  many := cardinality(kept.columns);
  names := @schema@.preimage_now(rel, kept.relation, kept.columns, kept.attributes, kept.kind IN ('columns', 'table', 'delete'));
  keyed := @schema@.preimage_now(rel, kept.relation, kept.key_columns, '{}', true);
  SELECT string_agg(old, ', ') INTO missing FROM unnest(kept.columns, names) AS c (old, now) WHERE now IS NULL;
  IF missing IS NOT NULL THEN
    RETURN jsonb_build_object('failed', format('column %s of %s is not there', missing, kept.relation_name));
  END IF;
  IF kept.kind <> 'table' AND (keyed IS NULL OR array_position(keyed, NULL) IS NOT NULL) THEN
    RETURN jsonb_build_object('failed', format('the key of %s is not there', kept.relation_name));
  END IF;
  -- Triggers of the application have seen these values once already, and must not touch rows for our sake.
  quiet := ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = rel AND NOT tgisinternal AND tgenabled = 'O' AND tgparentid = 0);
  FOREACH name IN ARRAY quiet LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', rel::regclass, name);
  END LOOP;
  IF kept.kind IN ('table', 'delete') THEN
    -- In a table that was made anew, whoever is there under the key of a kept row was put there by the down script.
    keyed := CASE WHEN rel <> kept.relation THEN @schema@.preimage_key(rel, '{}') END;
    overwritten := (SELECT string_agg(format('%1$I = excluded.%1$I', a.attname), ', ') FROM pg_attribute AS a
      WHERE a.attrelid = rel AND a.attname = ANY (names) AND a.attidentity <> 'a' AND NOT a.attname = ANY (keyed));
    EXECUTE CASE WHEN names = '{}' THEN format('INSERT INTO %s SELECT FROM @schema@.%I', rel::regclass, kept.store)
      ELSE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM @schema@.%I AS s ON CONFLICT %s', rel::regclass,
      (SELECT string_agg(format('%I', c.now), ', ' ORDER BY place) FROM unnest(names) WITH ORDINALITY AS c (now, place)),
      @schema@.preimage_values(rel, names), kept.store, CASE WHEN overwritten IS NULL THEN 'DO NOTHING'
        ELSE format('(%s) DO UPDATE SET %s', (SELECT string_agg(format('%I', k), ', ') FROM unnest(keyed) AS k), overwritten) END) END;
    GET DIAGNOSTICS done = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM @schema@.%I', kept.store) INTO changed;
    changed := changed - done;
    EXECUTE format('SELECT count(*) FROM %s', rel::regclass) INTO newer;
    newer := CASE kept.kind WHEN 'table' THEN newer - done ELSE 0 END;
    FOR owned IN SELECT key, value ->> 'last' AS last FROM jsonb_each(kept.sequences) LOOP
      PERFORM @schema@.preimage_forward(pg_get_serial_sequence(rel::regclass::text, owned.key), owned.last::bigint);
    END LOOP;
  ELSE
    EXECUTE format('SELECT count(*) FILTER (WHERE s.same), count(*) FILTER (WHERE NOT s.same) FROM %s AS t JOIN @schema@.%I AS s ON %s', rel::regclass,
      kept.store, @schema@.preimage_same_key(rel, keyed)) INTO done, changed;
    EXECUTE format('UPDATE %s AS t SET (%s) = ROW(%s) FROM @schema@.%I AS s WHERE s.same AND %s AND ROW(true%s) IS DISTINCT FROM ROW(true%s)',
      rel::regclass,
      (SELECT string_agg(format('%I', c.now), ', ' ORDER BY place) FROM unnest(names) WITH ORDINALITY AS c (now, place)),
      @schema@.preimage_values(rel, names), kept.store, @schema@.preimage_same_key(rel, keyed),
      @schema@.preimage_texts(rel, names, 't'), @schema@.preimage_numbered(', s.o#', many));
    EXECUTE format('SELECT count(*) FROM %s AS t JOIN @schema@.%I AS s ON %s WHERE s.same AND ROW(true%s) IS NOT DISTINCT FROM ROW(true%s)',
      rel::regclass, kept.store, @schema@.preimage_same_key(rel, keyed), @schema@.preimage_texts(rel, names, 't'),
      @schema@.preimage_numbered(', s.o#', many)) INTO alike;
    IF alike < done AND kept.kind <> 'retype' THEN
      RAISE EXCEPTION '% of % values do not fit into % as it is now', done - alike, done, kept.relation_name USING ERRCODE = '22000';
    END IF;
    IF kept.kind = 'columns' THEN
      EXECUTE format('SELECT count(*) FROM %s', rel::regclass) INTO newer;
      newer := newer - done;
    END IF;
  END IF;
  FOREACH name IN ARRAY quiet LOOP
    EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', rel::regclass, name);
  END LOOP;
  RETURN jsonb_strip_nulls(jsonb_build_object('rows', done, 'changed', changed, 'newer', newer,
    'gone', CASE WHEN kept.kind NOT IN ('table', 'delete') THEN kept.rows - done - changed END));
END
$one$;

-- The kept texts as values of these columns. Without the length that a type may have: an assignment refuses what does not fit,
-- where a cast would cut it off.
CREATE OR REPLACE FUNCTION @schema@.preimage_values(rel oid, names text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $values$
BEGIN
  RETURN (SELECT string_agg(format('s.o%s::%s', c.place, format_type(a.atttypid, -1)), ', ' ORDER BY c.place)
    FROM unnest(names) WITH ORDINALITY AS c (name, place)
    JOIN pg_attribute AS a ON a.attrelid = rel AND a.attname = c.name AND NOT a.attisdropped);
END
$values$;

-- What is kept of a migration (NULL: of all), or was put back.
CREATE OR REPLACE FUNCTION @schema@.preimages(of_migration text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $preimages$
BEGIN
  IF to_regclass($own$@schema@.preimage$own$) IS NULL OR NOT @schema@.preimage_allowed() THEN
    RETURN '[]';
  END IF;
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('migration', migration, 'run', run_id, 'at', at, 'kind', kind, 'words', words,
      'ordinal', ordinal, 'name', relation_name, 'relation', CASE WHEN relation_schema IS NULL OR relation_name IS NULL THEN '' ELSE format('%I.%I', relation_schema, relation_name) END, 'columns', columns, 'rows', rows,
      'why', why, 'back', back, 'back_run', back_run, 'kept', store IS NOT NULL,
      'bytes', CASE WHEN store IS NOT NULL THEN pg_total_relation_size(to_regclass(format('%s.%I', $own$@schema@$own$, store))) END)
      ORDER BY id), '[]')
    FROM @schema@.preimage WHERE of_migration IS NULL OR migration = of_migration);
END
$preimages$;

-- Throw away what is older. Answers how many stores went.
CREATE OR REPLACE FUNCTION @schema@.preimage_expire(seconds double precision) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $expire$
DECLARE
  old record;
  gone bigint := 0;
BEGIN
  IF to_regclass($own$@schema@.preimage$own$) IS NOT NULL AND @schema@.preimage_allowed() THEN
    FOR old IN SELECT id, store FROM @schema@.preimage WHERE at < clock_timestamp() - make_interval(secs => seconds) LOOP
      IF old.store IS NOT NULL THEN
        EXECUTE format('DROP TABLE IF EXISTS @schema@.%I', old.store);
        UPDATE @schema@.preimage SET store = NULL, why = coalesce(why, 'it was kept until its time was over') WHERE id = old.id;
        gone := gone + 1;
      ELSIF old.id IS NOT NULL THEN
        DELETE FROM @schema@.preimage WHERE id = old.id AND back IS NOT NULL;
      END IF;
    END LOOP;
  END IF;
  PERFORM @schema@.rows_expire(seconds);
  RETURN gone;
END
$expire$;
