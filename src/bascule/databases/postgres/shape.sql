-- What schema objects look like, as the catalog has them: `shape(touch)` answers {"objects": {…}, "whole": …}.
--
-- `touch` is {"objects": [{"kind", "schema", "name", "column"}, …], "everything": …}; a name without schema is looked for
-- in every schema of the session's search path. Looked at is what it names, and what else a statement on that can change:
-- all that depends on it, found through pg_depend as DROP … CASCADE finds it. With a "column" that is this one column of the
-- table (with an empty one nothing of it), unless the table has partitions or children: then it is all of them.
--   * A named object, and a whole object that depends on one (a view, a partition, an owned sequence, a function), is
--     given entirely; the latter with "linked": true.
--   * Of a table of which only single items depend on a named object (a foreign key, a default, a trigger, a policy, an
--     index, a column), or which has a named index or column, these items alone are given, with "partial": true on the
--     table, and "named": true on the index or column that was named.
--   * What is as it is by default is left out: an absent part is an empty one, an absent property has its default.
-- Objects of extensions, of system and temporary schemas and of Bascule's own schema are never looked at.
--
-- Cost: every query finds its rows through an index however large the catalog is, and is skipped where there is nothing
-- to find. They are planned once in a session, by the settings below and not by the session's, because a plan made
-- while the catalog is small is still in use when it is large. (jit: a plan that cannot avoid what is switched off
-- counts as dear enough to be compiled.) The other settings make the catalog's texts independent of the session.
--
-- `@schema@` stands for the quoted name of Bascule's schema.

-- Who has been given what, or has lost it, unlike what holds by default. NULL: nobody; also where the list was written out
-- and says no more than an empty one.
CREATE OR REPLACE FUNCTION @schema@.shape_grants(acl pg_catalog.aclitem[], kind "char", owner pg_catalog.oid)
RETURNS pg_catalog.jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $grants$
DECLARE
  lines jsonb;
BEGIN
  IF acl IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT jsonb_agg(coalesce(given, grantee || ': nothing') ORDER BY grantee, given) INTO lines
  FROM (
    SELECT grantee, string_agg(line, '; ' ORDER BY line) FILTER (WHERE is_given) AS given,
      string_agg(line, '; ' ORDER BY line) FILTER (WHERE NOT is_given) AS usual
    FROM (
      SELECT
        is_given,
        CASE p.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(p.grantee) END AS grantee,
        CASE p.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(p.grantee) END || ': '
          || string_agg(privilege_type || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END, ', ' ORDER BY privilege_type)
          || CASE WHEN p.grantor = owner THEN '' ELSE ' (granted by ' || pg_get_userbyid(p.grantor) || ')' END AS line
      FROM (
        SELECT true AS is_given, g.* FROM aclexplode(acl) AS g
        UNION ALL
        SELECT false, g.* FROM aclexplode(acldefault(kind, owner)) AS g
      ) AS p
      GROUP BY is_given, p.grantee, p.grantor
    ) AS told
    GROUP BY grantee
  ) AS each_one
  WHERE given IS DISTINCT FROM usual;
  RETURN lines;
END
$grants$;

-- Options of foreign data wrappers, servers, user mappings, foreign tables and their columns: their values are passwords, as a
-- rule, and what is kept and compared is a digest of each.
CREATE OR REPLACE FUNCTION @schema@.shape_values(options pg_catalog.text[])
RETURNS pg_catalog.jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $values$
BEGIN
  RETURN (SELECT jsonb_object_agg(split_part(pair, '=', 1),
      left(encode(sha256(convert_to(pair, getdatabaseencoding()::name)), 'hex'), 16))
    FROM unnest(options) AS pair);
END
$values$;

-- Objects that are neither relations nor routines nor types: few, so all of them are looked at when one is concerned.
CREATE OR REPLACE FUNCTION @schema@.shape_others() RETURNS pg_catalog.jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $others$
DECLARE
  first_of_users constant oid := 16384;
  schemas_published jsonb;
  objects jsonb;
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    SELECT jsonb_object_agg(publication::text, names) INTO schemas_published
    FROM (
      SELECT p.pnpubid AS publication, jsonb_agg(n.nspname ORDER BY n.nspname) AS names
      FROM pg_publication_namespace AS p JOIN pg_namespace AS n ON n.oid = p.pnnspid GROUP BY p.pnpubid
    ) AS listed;
  END IF;
  SELECT jsonb_object_agg('other ' || o.type || ' ' || o.identity,
    jsonb_strip_nulls(parts || jsonb_build_object('comment', obj_description(found.oid, classid::regclass::name))))
  INTO objects
  FROM (
    SELECT 'pg_event_trigger'::regclass AS classid, oid, jsonb_build_object('owner', pg_get_userbyid(evtowner), 'event', evtevent,
      'function', evtfoid::regprocedure, 'enabled', evtenabled, 'tags', evttags) AS parts
    FROM pg_event_trigger
    UNION ALL
    SELECT 'pg_publication'::regclass, oid, to_jsonb(p) - '{oid,pubname,pubowner}'::text[] || jsonb_build_object(
      'owner', pg_get_userbyid(pubowner), 'schemas', schemas_published -> p.oid::text)
    FROM pg_publication AS p
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, jsonb_build_object('owner', pg_get_userbyid(fdwowner),
      'handler', nullif(fdwhandler, 0)::regprocedure, 'validator', nullif(fdwvalidator, 0)::regprocedure, 'option_values', @schema@.shape_values(fdwoptions),
      'grants', @schema@.shape_grants(fdwacl, 'F', fdwowner))
    FROM pg_foreign_data_wrapper
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, jsonb_build_object('owner', pg_get_userbyid(srvowner), 'wrapper', w.fdwname,
      'type', srvtype, 'version', srvversion, 'option_values', @schema@.shape_values(srvoptions),
      'grants', @schema@.shape_grants(srvacl, 'S', srvowner))
    FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
    UNION ALL
    SELECT 'pg_user_mapping'::regclass, umid, jsonb_build_object('option_values', @schema@.shape_values(umoptions))
    FROM pg_user_mappings
    UNION ALL
    SELECT 'pg_cast'::regclass, oid, jsonb_build_object('function', nullif(castfunc, 0)::regprocedure, 'context', castcontext,
      'method', castmethod)
    FROM pg_cast
    UNION ALL
    SELECT 'pg_operator'::regclass, oid, jsonb_build_object('owner', pg_get_userbyid(oprowner), 'function', oprcode,
      'commutator', nullif(oprcom, 0)::regoperator, 'negator', nullif(oprnegate, 0)::regoperator, 'hash', oprcanhash, 'merge', oprcanmerge,
      'restrict', oprrest, 'join', oprjoin)
    FROM pg_operator
    UNION ALL
    SELECT 'pg_opclass'::regclass, oid, jsonb_build_object('owner', pg_get_userbyid(opcowner), 'default', opcdefault,
      'type', opcintype::regtype, 'key', nullif(opckeytype, 0)::regtype)
    FROM pg_opclass
    UNION ALL
    SELECT 'pg_opfamily'::regclass, f.oid, jsonb_build_object('owner', pg_get_userbyid(opfowner),
      'operators', (SELECT jsonb_agg(amopstrategy || ' ' || amopopr::regoperator ORDER BY amopstrategy, amopopr::regoperator::text)
        FROM pg_amop WHERE amopfamily = f.oid),
      'functions', (SELECT jsonb_agg(amprocnum || ' ' || amproc::regprocedure ORDER BY amprocnum, amproc::regprocedure::text)
        FROM pg_amproc WHERE amprocfamily = f.oid))
    FROM pg_opfamily AS f
    UNION ALL
    SELECT 'pg_collation'::regclass, oid, to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[]
      || jsonb_build_object('owner', pg_get_userbyid(collowner))
    FROM pg_collation AS c
    UNION ALL
    SELECT 'pg_conversion'::regclass, oid, jsonb_build_object('owner', pg_get_userbyid(conowner), 'function', conproc,
      'from', pg_encoding_to_char(conforencoding), 'to', pg_encoding_to_char(contoencoding), 'default', condefault)
    FROM pg_conversion
    UNION ALL
    SELECT 'pg_ts_config'::regclass, c.oid, jsonb_build_object('owner', pg_get_userbyid(cfgowner), 'parser', p.prsname,
      'mappings', (SELECT jsonb_agg(maptokentype || ' ' || mapdict::regdictionary ORDER BY maptokentype, mapseqno)
        FROM pg_ts_config_map WHERE mapcfg = c.oid))
    FROM pg_ts_config AS c JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, d.oid, jsonb_build_object('owner', pg_get_userbyid(dictowner), 'template', t.tmplname,
      'options', dictinitoption)
    FROM pg_ts_dict AS d JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
    UNION ALL
    SELECT 'pg_ts_parser'::regclass, oid, '{}' FROM pg_ts_parser
    UNION ALL
    SELECT 'pg_ts_template'::regclass, oid, '{}' FROM pg_ts_template
    UNION ALL
    SELECT 'pg_default_acl'::regclass, oid, jsonb_build_object('grants', @schema@.shape_grants(defaclacl, 'c', defaclrole))
    FROM pg_default_acl
    UNION ALL
    SELECT 'pg_language'::regclass, oid, jsonb_build_object('owner', pg_get_userbyid(lanowner), 'trusted', lanpltrusted,
      'grants', @schema@.shape_grants(lanacl, 'l', lanowner))
    FROM pg_language
    UNION ALL
    SELECT 'pg_am'::regclass, oid, jsonb_build_object('handler', amhandler) FROM pg_am
    UNION ALL
    SELECT 'pg_transform'::regclass, oid, jsonb_build_object('from', trffromsql, 'to', trftosql) FROM pg_transform
  ) AS found, pg_identify_object(classid, found.oid, 0) AS o
  WHERE found.oid >= first_of_users
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = found.classid AND d.objid = found.oid AND d.deptype IN ('e', 'i'));
  RETURN coalesce(objects, '{}');
END
$others$;

CREATE OR REPLACE FUNCTION @schema@.shape_in(touch pg_catalog.jsonb, path pg_catalog.name[]) RETURNS pg_catalog.jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET timezone = 'UTC'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET quote_all_identifiers = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $shape$
DECLARE
  own_schema oid := to_regnamespace($own$@schema@$own$);
  whole boolean := coalesce((touch ->> 'everything')::boolean, false);
  named jsonb := touch -> 'objects';
  others boolean := whole;
  -- Which objects are looked at.
  seed_classes oid[]; seed_ids oid[]; seed_parts int[]; more_classes oid[]; more_ids oid[]; more_parts int[];
  named_ids oid[]; named_index_ids oid[]; named_columns text[]; members text[];
  reached_classes oid[]; reached_ids oid[]; reached_parts int[];
  relation_ids oid[]; table_ids oid[]; sequence_ids oid[]; column_table_ids oid[]; column_keys text[]; default_ids oid[];
  constraint_ids oid[]; index_ids oid[]; trigger_ids oid[]; rule_ids oid[]; policy_ids oid[]; statistics_ids oid[];
  publication_ids oid[]; routine_ids oid[]; type_ids oid[]; schema_ids oid[]; extension_ids oid[];
  has_more boolean; has_specials boolean; has_parents boolean;
  -- Tables of which only items are looked at: they own what was found among columns, constraints, indexes, or anything else.
  column_guests oid[]; constraint_guests oid[]; index_guests oid[]; strangers oid[]; guest_ids oid[];
  -- Comments, by oid of the catalog, oid of the object, and number of the column.
  notes jsonb;
  -- What the objects look like, by oid (as text).
  specials jsonb; columns_of jsonb; defaults_of jsonb; constraints_of jsonb; indexes_of jsonb; triggers_of jsonb; rules_of jsonb;
  policies_of jsonb; statistics_of jsonb; publications_of jsonb; parents_of jsonb; parameters_of jsonb;
  added jsonb; objects jsonb := '{}';
BEGIN
  -- 1. The objects named.
  IF whole THEN
    schema_ids := ARRAY(SELECT oid FROM pg_namespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND oid IS DISTINCT FROM own_schema
        AND NOT EXISTS (SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_namespace'::regclass AND d.objid = pg_namespace.oid AND d.deptype = 'e'));
    extension_ids := ARRAY(SELECT oid FROM pg_extension);
    relation_ids := ARRAY(SELECT c.oid FROM pg_class AS c
      WHERE c.relnamespace = ANY (schema_ids) AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'));
    constraint_ids := ARRAY(SELECT oid FROM pg_constraint WHERE conrelid = ANY (relation_ids));
    index_ids := ARRAY(SELECT indexrelid FROM pg_index WHERE indrelid = ANY (relation_ids));
    trigger_ids := ARRAY(SELECT oid FROM pg_trigger WHERE tgrelid = ANY (relation_ids) AND NOT tgisinternal);
    rule_ids := ARRAY(SELECT oid FROM pg_rewrite WHERE ev_class = ANY (relation_ids) AND rulename <> '_RETURN');
    policy_ids := ARRAY(SELECT oid FROM pg_policy WHERE polrelid = ANY (relation_ids));
    statistics_ids := ARRAY(SELECT oid FROM pg_statistic_ext WHERE stxrelid = ANY (relation_ids));
    publication_ids := ARRAY(SELECT oid FROM pg_publication_rel WHERE prrelid = ANY (relation_ids));
    routine_ids := ARRAY(SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = ANY (schema_ids)
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'));
    type_ids := ARRAY(SELECT t.oid FROM pg_type AS t WHERE t.typnamespace = ANY (schema_ids)
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'));
    has_more := true;
    SELECT jsonb_object_agg(classoid || '/' || objoid || '/' || objsubid, description) INTO notes
    FROM pg_description WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass;
  ELSE
    SELECT
      array_agg(CASE c.relkind WHEN 'c' THEN 'pg_type'::regclass ELSE 'pg_class'::regclass END::oid),
      array_agg(CASE c.relkind WHEN 'c' THEN c.reltype ELSE c.oid END),
      array_agg(coalesce(a.attnum, 0)),
      array_agg(c.oid) FILTER (WHERE c.relkind IN ('i', 'I')),
      array_agg(c.oid || '.' || a.attnum) FILTER (WHERE a.attnum > 0)
    INTO seed_classes, seed_ids, seed_parts, named_index_ids, named_columns
    FROM jsonb_array_elements(named) AS w (object)
    JOIN pg_namespace AS n ON n.nspname = ANY (CASE WHEN w.object ->> 'schema' IS NULL THEN path ELSE ARRAY[(w.object ->> 'schema')::name] END)
    JOIN pg_class AS c ON c.relname = (w.object ->> 'name')::name AND c.relnamespace = n.oid
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = (w.object ->> 'column')::name
      AND a.attnum > 0 AND c.relkind <> 'p' AND NOT c.relhassubclass
    WHERE w.object ->> 'kind' = 'relation' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid IS DISTINCT FROM own_schema
      AND (w.object ->> 'column' IS NULL OR a.attnum IS NOT NULL OR c.relkind = 'p' OR c.relhassubclass);
    IF named @? '$[*].kind ? (@ != "relation")' THEN
      SELECT array_agg(class), array_agg(id) INTO more_classes, more_ids
      FROM (
        SELECT 'pg_proc'::regclass::oid AS class, p.oid AS id
        FROM jsonb_array_elements(named) AS w (object)
        JOIN pg_namespace AS n ON n.nspname = ANY (CASE WHEN w.object ->> 'schema' IS NULL THEN path ELSE ARRAY[(w.object ->> 'schema')::name] END)
        JOIN pg_proc AS p ON p.proname = (w.object ->> 'name')::name AND p.pronamespace = n.oid
        WHERE w.object ->> 'kind' = 'routine' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid IS DISTINCT FROM own_schema
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid
        FROM jsonb_array_elements(named) AS w (object)
        JOIN pg_namespace AS n ON n.nspname = ANY (CASE WHEN w.object ->> 'schema' IS NULL THEN path ELSE ARRAY[(w.object ->> 'schema')::name] END)
        JOIN pg_type AS t ON t.typname = (w.object ->> 'name')::name AND t.typnamespace = n.oid
        WHERE w.object ->> 'kind' = 'type' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid IS DISTINCT FROM own_schema
        UNION ALL
        SELECT 'pg_extension'::regclass, e.oid
        FROM jsonb_array_elements(named) AS w (object) JOIN pg_extension AS e ON e.extname = (w.object ->> 'name')::name
        WHERE w.object ->> 'kind' = 'extension'
      ) AS seeds;
      seed_classes := seed_classes || more_classes;
      seed_ids := seed_ids || more_ids;
      SELECT array_agg(n.oid) INTO schema_ids
      FROM jsonb_array_elements(named) AS w (object) JOIN pg_namespace AS n ON n.nspname = (w.object ->> 'name')::name
      WHERE w.object ->> 'kind' = 'schema' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid IS DISTINCT FROM own_schema;
      SELECT array_agg(DISTINCT e.oid), array_agg(d.classid || '/' || d.objid) INTO extension_ids, members
      FROM jsonb_array_elements(named) AS w (object)
      JOIN pg_extension AS e ON e.extname = (w.object ->> 'name')::name
      LEFT JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      WHERE w.object ->> 'kind' = 'extension';
      others := named @> '[{"kind": "other"}]';
    END IF;
    IF seed_ids IS NULL AND schema_ids IS NULL AND NOT others THEN
      RETURN '{"objects": {}, "whole": false}';
    END IF;
    IF named_index_ids IS NOT NULL THEN
      -- What is done to the index of a constraint is done to the constraint.
      SELECT array_agg(d.refclassid), array_agg(d.refobjid) INTO more_classes, more_ids
      FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = ANY (named_index_ids) AND d.refclassid = 'pg_constraint'::regclass AND d.deptype = 'i';
      seed_classes := seed_classes || more_classes;
      seed_ids := seed_ids || more_ids;
    END IF;
    named_ids := seed_ids;
    IF named_columns IS NOT NULL THEN
      SELECT coalesce(array_agg(id), '{}') INTO named_ids FROM unnest(seed_ids, seed_parts) AS seed (id, part) WHERE coalesce(part, 0) = 0;
    END IF;

    -- 2. What depends on them. `part` is the number of a column, or 0; -1: to be followed, but not itself looked at, being
    -- a piece of its owner (row and array types, the triggers behind a foreign key, the rule of a view) or of an extension.
    WHILE seed_ids IS NOT NULL LOOP
      WITH RECURSIVE reached (class, id, part) AS (
        SELECT class, id, coalesce(part, 0) FROM unnest(seed_classes, seed_ids, seed_parts) AS seed (class, id, part)
        WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = seed.class AND d.objid = seed.id AND d.deptype = 'e')
        UNION
        SELECT d.classid, d.objid,
          CASE
            WHEN d.deptype = 'e'
              OR d.deptype = 'i' AND d.classid IN ('pg_type'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass)
              OR d.deptype = 'a' AND d.classid = 'pg_attrdef'::regclass
            THEN -1
            ELSE d.objsubid
          END
        FROM reached JOIN pg_depend AS d ON d.refclassid = reached.class AND d.refobjid = reached.id
        WHERE (reached.part <= 0 OR d.refobjsubid = reached.part)
          AND d.deptype <> 'x' AND (d.deptype <> 'e' OR reached.class = 'pg_extension'::regclass)
          AND reached.class NOT IN ('pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass)
      )
      SELECT
        array_agg(class), array_agg(id), array_agg(part),
        array_agg(id) FILTER (WHERE class = 'pg_class'::regclass AND part = 0),
        array_agg(id) FILTER (WHERE class = 'pg_constraint'::regclass AND part = 0),
        bool_or(part > 0 OR part = 0 AND class NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass))
      INTO reached_classes, reached_ids, reached_parts, relation_ids, constraint_ids, has_more
      FROM reached WHERE members IS NULL OR class || '/' || id <> ALL (members);
      EXIT WHEN has_more IS NOT TRUE;
      SELECT
        array_agg(id) FILTER (WHERE class = 'pg_class'::regclass AND part > 0),
        array_agg(id || '.' || part) FILTER (WHERE class = 'pg_class'::regclass AND part > 0),
        array_agg(id) FILTER (WHERE class = 'pg_attrdef'::regclass AND part = 0),
        array_agg(id) FILTER (WHERE class = 'pg_trigger'::regclass AND part = 0),
        array_agg(id) FILTER (WHERE class = 'pg_rewrite'::regclass AND part = 0),
        array_agg(id) FILTER (WHERE class = 'pg_policy'::regclass),
        array_agg(id) FILTER (WHERE class = 'pg_statistic_ext'::regclass),
        array_agg(id) FILTER (WHERE class = 'pg_publication_rel'::regclass),
        array_agg(id) FILTER (WHERE class = 'pg_proc'::regclass AND part = 0),
        array_agg(id) FILTER (WHERE class = 'pg_type'::regclass AND part = 0),
        coalesce(bool_or(part = 0 AND class NOT IN ('pg_class'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass,
          'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass, 'pg_proc'::regclass,
          'pg_type'::regclass, 'pg_extension'::regclass)), false) OR others
      INTO column_table_ids, column_keys, default_ids, trigger_ids, rule_ids, policy_ids, statistics_ids, publication_ids, routine_ids, type_ids,
        others
      FROM unnest(reached_classes, reached_ids, reached_parts) AS reached (class, id, part);
      EXIT WHEN rule_ids IS NULL AND default_ids IS NULL;
      -- A rule that depends on something takes its view along, and an expression its generated column, though neither of
      -- them depends on what it loses: the search goes on from there.
      SELECT array_agg(class), array_agg(id), array_agg(part) INTO more_classes, more_ids, more_parts
      FROM (
        SELECT 'pg_class'::regclass AS class, ev_class AS id, 0 AS part FROM pg_rewrite WHERE oid = ANY (rule_ids)
        UNION
        SELECT 'pg_class'::regclass, f.adrelid, f.adnum
        FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        WHERE f.oid = ANY (default_ids) AND a.attgenerated <> ''
      ) AS owners
      WHERE (relation_ids IS NULL OR id <> ALL (relation_ids)) AND NOT EXISTS (
        SELECT FROM unnest(seed_classes, seed_ids, seed_parts) AS seed (class, id, part)
        WHERE seed.class = owners.class AND seed.id = owners.id AND coalesce(seed.part, 0) IN (0, owners.part));
      EXIT WHEN more_ids IS NULL;
      seed_parts := seed_parts || array_fill(0, ARRAY[cardinality(seed_ids) - coalesce(cardinality(seed_parts), 0)]);
      seed_classes := seed_classes || more_classes;
      seed_ids := seed_ids || more_ids;
      seed_parts := seed_parts || more_parts;
    END LOOP;
    index_ids := relation_ids;
    reached_ids := reached_ids || schema_ids;
    IF reached_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(classoid || '/' || objoid || '/' || objsubid, description) INTO notes
      FROM pg_description WHERE objoid = ANY (reached_ids);
    END IF;
  END IF;

  -- 3. Relations. Whatever only few of them have is asked for when one of these has it.
  IF relation_ids IS NOT NULL THEN
    SELECT
      array_agg(oid) FILTER (WHERE relkind <> 'S'),
      array_agg(oid) FILTER (WHERE relkind = 'S'),
      bool_or(relkind NOT IN ('r', 'S') OR relacl IS NOT NULL OR reloptions IS NOT NULL OR relpersistence <> 'p' OR reltablespace <> 0
        OR relreplident NOT IN ('d', 'n') OR relreplident = 'n' AND relkind = 'r' OR relrowsecurity OR relforcerowsecurity
        OR relispartition OR relam NOT IN (0, 2) OR reloftype <> 0 OR notes IS NOT NULL
        OR reltoastrelid <> 0 AND (SELECT t.reloptions IS NOT NULL FROM pg_class AS t WHERE t.oid = c.reltoastrelid))
    INTO table_ids, sequence_ids, has_specials
    FROM pg_class AS c
    WHERE oid = ANY (relation_ids) AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND relnamespace IS DISTINCT FROM own_schema;
    IF has_specials THEN
      SELECT jsonb_object_agg(c.oid::text, jsonb_build_object(
        'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
        'populated', CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN false END,
        'grants', @schema@.shape_grants(c.relacl, CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner),
        'options', to_jsonb(c.reloptions),
        'toast_options', CASE WHEN c.reltoastrelid <> 0 THEN (SELECT to_jsonb(t.reloptions) FROM pg_class AS t WHERE t.oid = c.reltoastrelid) END,
        'persistence', CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END,
        'tablespace', CASE WHEN c.reltablespace <> 0 THEN pg_describe_object('pg_tablespace'::regclass, c.reltablespace, 0) END,
        'replica_identity', CASE WHEN c.relkind IN ('r', 'p') THEN CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END END,
        'row_security', CASE WHEN c.relrowsecurity THEN true END,
        'force_row_security', CASE WHEN c.relforcerowsecurity THEN true END,
        'access_method', (SELECT m.amname FROM pg_am AS m WHERE m.oid = c.relam AND m.oid <> 2),
        'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
        'partition_key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        'partition_bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
        'foreign', CASE WHEN c.relkind = 'f' THEN (
          SELECT to_jsonb('SERVER ' || s.srvname)
          FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END,
        'option_values', CASE WHEN c.relkind = 'f' THEN (
          SELECT @schema@.shape_values(f.ftoptions) FROM pg_foreign_table AS f WHERE f.ftrelid = c.oid) END,
        'comment', notes -> ('1259/' || c.oid || '/0')))
      INTO specials
      FROM pg_class AS c WHERE c.oid = ANY (table_ids || sequence_ids);
    END IF;
  END IF;
  table_ids := coalesce(table_ids, '{}');

  -- 4. Their parts. Items of tables that are not looked at entirely come along.
  IF table_ids <> '{}' OR column_table_ids IS NOT NULL THEN
    SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids)),
      bool_or(special), bool_or(inherited)
    INTO columns_of, column_guests, has_specials, has_parents
    FROM (
      SELECT attrelid AS owner, bool_or(attinhcount > 0) AS inherited,
        bool_or(attgenerated <> '' OR attcollation NOT IN (0, 100) OR attacl IS NOT NULL OR attcompression <> '' OR attoptions IS NOT NULL
          OR attfdwoptions IS NOT NULL OR attinhcount > 0 OR attstattarget >= 0 OR notes IS NOT NULL
          OR attlen = -1 AND attstorage <> CASE
            WHEN atttypid IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype, 'bytea'::regtype) THEN 'x'
            WHEN atttypid = 'numeric'::regtype THEN 'm'
            ELSE (SELECT t.typstorage FROM pg_type AS t WHERE t.oid = atttypid) END) AS special,
        jsonb_agg(
          jsonb_build_object('name', attname, 'type', format_type(atttypid, atttypmod), 'not_null', attnotnull)
          || CASE WHEN atthasdef THEN jsonb_build_object(CASE attgenerated WHEN '' THEN 'default' ELSE 'generated' END,
              (SELECT pg_get_expr(f.adbin, f.adrelid) FROM pg_attrdef AS f WHERE f.adrelid = attrelid AND f.adnum = attnum)) ELSE '{}' END
          || CASE attidentity WHEN 'a' THEN '{"identity": "ALWAYS"}' WHEN 'd' THEN '{"identity": "BY DEFAULT"}' ELSE '{}'::jsonb END
          || CASE WHEN named_columns IS NOT NULL AND attrelid || '.' || attnum = ANY (named_columns) THEN '{"named": true}'::jsonb ELSE '{}' END
          ORDER BY attnum) AS items
      FROM pg_attribute
      WHERE attrelid = ANY (table_ids || column_table_ids) AND attnum > 0 AND NOT attisdropped
        AND (column_keys IS NULL OR attrelid = ANY (table_ids) OR attrelid || '.' || attnum = ANY (column_keys))
      GROUP BY attrelid
    ) AS grouped;
    IF has_specials THEN
      SELECT jsonb_object_agg(attrelid || '.' || attname, jsonb_strip_nulls(jsonb_build_object(
        'stored', CASE attgenerated WHEN 'v' THEN false WHEN 's' THEN true END,
        'collation', CASE WHEN attcollation NOT IN (0, 100) THEN attcollation::regcollation::text END,
        'storage', CASE WHEN attlen = -1 AND attstorage <> (SELECT t.typstorage FROM pg_type AS t WHERE t.oid = atttypid)
          THEN CASE attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
        'compression', CASE attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
        'statistics', CASE WHEN attstattarget >= 0 THEN attstattarget END,
        'options', to_jsonb(attoptions),
        'option_values', CASE WHEN attfdwoptions IS NOT NULL THEN @schema@.shape_values(attfdwoptions) END,
        'inherited', CASE WHEN attinhcount > 0 THEN CASE WHEN attislocal THEN 'and local' ELSE 'only' END END,
        'grants', @schema@.shape_grants(attacl, 'c', 0),
        'comment', notes -> ('1259/' || attrelid || '/' || attnum))))
      INTO added
      FROM pg_attribute WHERE attrelid = ANY (table_ids || column_table_ids) AND attnum > 0 AND NOT attisdropped;
      SELECT jsonb_object_agg(of.key, (
        SELECT jsonb_agg(item.value || coalesce(added -> (of.key || '.' || (item.value ->> 'name')), '{}') ORDER BY item.ordinality)
        FROM jsonb_array_elements(of.value) WITH ORDINALITY AS item))
      INTO columns_of FROM jsonb_each(columns_of) AS of;
    END IF;
  END IF;
  IF constraint_ids IS NOT NULL THEN
    -- NOT NULL (a constraint of its own since version 18) belongs to its column unless it is special; constraint triggers
    -- are triggers; the constraints of domains come with them. What enforces a foreign key, or one that can be deferred,
    -- are triggers of its own, which can be switched off: that shows nowhere else.
    SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
    INTO constraints_of, constraint_guests
    FROM (
      SELECT conrelid AS owner, jsonb_object_agg(
        CASE contype WHEN 'n' THEN pg_get_constraintdef(oid) ELSE conname END,
        jsonb_build_object('definition', pg_get_constraintdef(oid))
          || CASE WHEN conislocal THEN '{}' ELSE '{"inherited": true}'::jsonb END
          || CASE WHEN contype = 'f' OR condeferrable THEN coalesce((
              SELECT jsonb_build_object('enforcement', jsonb_agg(DISTINCT
                CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica only' ELSE 'always' END || ' on ' || g.tgrelid::regclass))
              FROM pg_trigger AS g WHERE g.tgconstraint = k.oid AND g.tgisinternal AND g.tgenabled <> 'O'
              HAVING count(*) > 0), '{}') ELSE '{}' END
          || CASE WHEN notes ? ('2606/' || oid || '/0') THEN jsonb_build_object('comment', notes -> ('2606/' || oid || '/0')) ELSE '{}' END
      ) AS items
      FROM pg_constraint AS k
      WHERE oid = ANY (constraint_ids) AND conrelid <> 0
        AND (contype IN ('c', 'f', 'p', 'u', 'x') OR contype = 'n' AND (connoinherit OR NOT convalidated))
      GROUP BY conrelid
    ) AS grouped;
  END IF;
  IF index_ids IS NOT NULL THEN
    -- The index of a constraint has its name, and is told by its definition.
    SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
    INTO indexes_of, index_guests
    FROM (
      SELECT i.indrelid AS owner, jsonb_object_agg(
        c.relname,
        CASE
          WHEN left(constraints_of #>> ARRAY[i.indrelid::text, c.relname, 'definition'], 1) IN ('P', 'U', 'E') THEN '{}'
          ELSE jsonb_build_object('definition', pg_get_indexdef(i.indexrelid))
        END
        || CASE
          WHEN NOT i.indisvalid OR NOT i.indisready OR i.indisclustered OR i.indisreplident OR c.reltablespace <> 0 OR c.reloptions IS NOT NULL
            OR c.relispartition OR notes IS NOT NULL OR named_index_ids IS NOT NULL OR i.indexprs IS NOT NULL
          THEN jsonb_strip_nulls(jsonb_build_object(
            'valid', CASE WHEN NOT i.indisvalid THEN false END,
            'ready', CASE WHEN NOT i.indisready THEN false END,
            'clustered', CASE WHEN i.indisclustered THEN true END,
            'replica_identity', CASE WHEN i.indisreplident THEN true END,
            'tablespace', CASE WHEN c.reltablespace <> 0 THEN pg_describe_object('pg_tablespace'::regclass, c.reltablespace, 0) END,
            'options', to_jsonb(c.reloptions),
            'statistics', CASE WHEN i.indexprs IS NOT NULL THEN (
              SELECT jsonb_object_agg('column ' || a.attnum, a.attstattarget)
              FROM pg_attribute AS a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) END,
            'inherited', CASE WHEN c.relispartition THEN true END,
            'comment', notes -> ('1259/' || c.oid || '/0'),
            'named', CASE WHEN c.oid = ANY (named_index_ids) THEN true END
          ))
          ELSE '{}'
        END
      ) AS items
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
      WHERE i.indexrelid = ANY (index_ids) AND c.relnamespace <> 'pg_toast'::regnamespace
      GROUP BY i.indrelid
    ) AS grouped;
  END IF;
  IF sequence_ids IS NOT NULL THEN
    SELECT jsonb_object_agg(seqrelid::text, jsonb_strip_nulls(jsonb_build_object(
      'type', format_type(seqtypid, NULL), 'start', seqstart, 'increment', seqincrement, 'minimum', seqmin, 'maximum', seqmax,
      'cache', seqcache, 'cycle', seqcycle,
      'owned_by', (
        SELECT jsonb_build_object('table', d.refobjid::regclass, 'column', a.attname)
        FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = seqrelid AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass
          AND d.deptype IN ('a', 'i')))))
    INTO parameters_of
    FROM pg_sequence WHERE seqrelid = ANY (sequence_ids);
  END IF;
  IF has_parents THEN
    SELECT jsonb_object_agg(inhrelid::text, names) INTO parents_of
    FROM (
      SELECT inhrelid, jsonb_agg(inhparent::regclass ORDER BY inhseqno) AS names
      FROM pg_inherits WHERE inhrelid = ANY (table_ids) GROUP BY inhrelid
    ) AS grouped;
  END IF;
  IF has_more THEN
    IF default_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(owner::text, items), array_agg(owner) INTO defaults_of, strangers
      FROM (
        SELECT f.adrelid AS owner, jsonb_object_agg(a.attname, pg_get_expr(f.adbin, f.adrelid)) AS items
        FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        WHERE f.oid = ANY (default_ids) AND a.attgenerated = '' AND f.adrelid <> ALL (table_ids)
        GROUP BY f.adrelid
      ) AS grouped;
      guest_ids := guest_ids || strangers;
    END IF;
    IF trigger_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
      INTO triggers_of, strangers
      FROM (
        SELECT tgrelid AS owner, jsonb_object_agg(tgname, jsonb_strip_nulls(jsonb_build_object(
          'definition', pg_get_triggerdef(oid),
          'enabled', CASE tgenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
          'inherited', CASE WHEN tgparentid <> 0 THEN true END,
          'depends', (SELECT jsonb_agg(e.extname ORDER BY e.extname) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_trigger'::regclass AND d.objid = pg_trigger.oid AND d.deptype = 'x'),
          'comment', notes -> ('2620/' || oid || '/0')))) AS items
        FROM pg_trigger WHERE oid = ANY (trigger_ids) AND NOT tgisinternal GROUP BY tgrelid
      ) AS grouped;
      guest_ids := guest_ids || strangers;
    END IF;
    IF rule_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
      INTO rules_of, strangers
      FROM (
        SELECT ev_class AS owner, jsonb_object_agg(rulename, jsonb_strip_nulls(jsonb_build_object(
          'definition', pg_get_ruledef(oid),
          'enabled', CASE ev_enabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
          'comment', notes -> ('2618/' || oid || '/0')))) AS items
        FROM pg_rewrite WHERE oid = ANY (rule_ids) AND rulename <> '_RETURN' GROUP BY ev_class
      ) AS grouped;
      guest_ids := guest_ids || strangers;
    END IF;
    IF policy_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
      INTO policies_of, strangers
      FROM (
        SELECT polrelid AS owner, jsonb_object_agg(polname, jsonb_strip_nulls(jsonb_build_object(
          'command', CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
          'restrictive', CASE WHEN NOT polpermissive THEN true END,
          'roles', (SELECT jsonb_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END ORDER BY pg_get_userbyid(r)) FROM unnest(polroles) AS r),
          'using', pg_get_expr(polqual, polrelid),
          'check', pg_get_expr(polwithcheck, polrelid),
          'comment', notes -> ('3256/' || oid || '/0')))) AS items
        FROM pg_policy WHERE oid = ANY (policy_ids) GROUP BY polrelid
      ) AS grouped;
      guest_ids := guest_ids || strangers;
    END IF;
    IF statistics_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(owner::text, items), array_agg(owner) FILTER (WHERE NOT whole AND owner <> ALL (table_ids))
      INTO statistics_of, strangers
      FROM (
        SELECT stxrelid AS owner, jsonb_object_agg(quote_ident(n.nspname) || '.' || quote_ident(stxname), jsonb_strip_nulls(jsonb_build_object(
          'owner', CASE WHEN stxowner <> (SELECT relowner FROM pg_class WHERE oid = stxrelid) THEN pg_get_userbyid(stxowner) END,
          'definition', pg_get_statisticsobjdef(s.oid),
          'target', CASE WHEN stxstattarget >= 0 THEN stxstattarget END,
          'comment', notes -> ('3381/' || s.oid || '/0')))) AS items
        FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
        WHERE s.oid = ANY (statistics_ids) GROUP BY stxrelid
      ) AS grouped;
      guest_ids := guest_ids || strangers;
    END IF;
    IF publication_ids IS NOT NULL THEN
      IF current_setting('server_version_num')::int >= 150000 THEN
        SELECT jsonb_object_agg(owner::text, items) INTO publications_of
        FROM (
          SELECT prrelid AS owner, jsonb_object_agg(p.pubname, jsonb_strip_nulls(jsonb_build_object(
            'where', pg_get_expr(prqual, prrelid),
            'columns', (SELECT jsonb_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs))))) AS items
          FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
          WHERE r.oid = ANY (publication_ids) AND prrelid = ANY (table_ids) GROUP BY prrelid
        ) AS grouped;
      ELSE
        SELECT jsonb_object_agg(owner::text, items) INTO publications_of
        FROM (
          SELECT prrelid AS owner, jsonb_object_agg(p.pubname, '{}'::jsonb) AS items
          FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
          WHERE r.oid = ANY (publication_ids) AND prrelid = ANY (table_ids) GROUP BY prrelid
        ) AS grouped;
      END IF;
    END IF;
  END IF;
  guest_ids := guest_ids || column_guests || constraint_guests || index_guests;

  -- 5. Put together: first the tables of which only items are looked at, then the rest.
  IF guest_ids IS NOT NULL THEN
    SELECT jsonb_object_agg(
      CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'c' THEN 'type ' ELSE 'table ' END || c.oid::regclass,
      jsonb_strip_nulls(jsonb_build_object(
        'partial', true, 'columns', columns_of -> c.oid::text, 'defaults', defaults_of -> c.oid::text,
        'constraints', constraints_of -> c.oid::text, 'indexes', indexes_of -> c.oid::text, 'triggers', triggers_of -> c.oid::text, 'rules', rules_of -> c.oid::text, 'policies', policies_of -> c.oid::text,
        'statistics', statistics_of -> c.oid::text)))
    INTO added
    FROM pg_class AS c
    WHERE c.oid = ANY (guest_ids) AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND c.relnamespace IS DISTINCT FROM own_schema;
    objects := objects || coalesce(added, '{}');
  END IF;
  IF table_ids <> '{}' OR sequence_ids IS NOT NULL THEN
    SELECT jsonb_object_agg(
      CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || c.oid::regclass,
      coalesce(parameters_of -> c.oid::text, '{}') || jsonb_strip_nulls(coalesce(specials -> c.oid::text, '{}') || jsonb_build_object(
        'owner', pg_get_userbyid(c.relowner), 'linked', CASE WHEN NOT whole AND c.oid <> ALL (named_ids) THEN true END,
        'columns', columns_of -> c.oid::text, 'constraints', constraints_of -> c.oid::text, 'indexes', indexes_of -> c.oid::text,
        'triggers', triggers_of -> c.oid::text, 'rules', rules_of -> c.oid::text, 'policies', policies_of -> c.oid::text,
        'statistics', statistics_of -> c.oid::text, 'publications', publications_of -> c.oid::text,
        'inherits', parents_of -> c.oid::text)))
    INTO added
    FROM pg_class AS c WHERE c.oid = ANY (table_ids || sequence_ids);
    objects := objects || coalesce(added, '{}');
  END IF;

  -- 6. Everything else.
  IF has_more THEN
    IF routine_ids IS NOT NULL THEN
      SELECT jsonb_object_agg(
        CASE prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
          || quote_ident(n.nspname) || '.' || quote_ident(proname) || '(' || oidvectortypes(proargtypes) || ')',
        jsonb_strip_nulls(jsonb_build_object(
          'owner', pg_get_userbyid(proowner),
          'language', l.lanname,
          'definition', CASE WHEN prokind = 'a' THEN (
            SELECT jsonb_pretty(to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype,aggsortop}'::text[]
              || jsonb_build_object('transtype', format_type(a.aggtranstype, NULL), 'mtranstype', format_type(nullif(a.aggmtranstype, 0), NULL),
                'sortop', nullif(a.aggsortop, 0)::regoperator, 'result', pg_get_function_result(p.oid), 'parallel', p.proparallel))
            FROM pg_aggregate AS a WHERE a.aggfnoid = p.oid) ELSE pg_get_functiondef(p.oid) END,
          'grants', @schema@.shape_grants(proacl, 'f', proowner),
          'depends', (SELECT jsonb_agg(e.extname ORDER BY e.extname) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'x'),
          'comment', notes -> ('1255/' || p.oid || '/0'),
          'linked', CASE WHEN NOT whole AND p.oid <> ALL (named_ids) THEN true END)))
      INTO added
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang
      WHERE p.oid = ANY (routine_ids) AND p.pronamespace IS DISTINCT FROM own_schema
        AND (named_ids @> ARRAY[p.oid] OR NOT EXISTS (
          SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i'));
      objects := objects || coalesce(added, '{}');
    END IF;
    IF type_ids IS NOT NULL THEN
      SELECT jsonb_object_agg('type ' || quote_ident(n.nspname) || '.' || quote_ident(typname), jsonb_strip_nulls(jsonb_build_object(
        'owner', pg_get_userbyid(typowner),
        'kind', CASE typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range' WHEN 'p' THEN 'shell' ELSE 'base' END,
        'labels', (SELECT jsonb_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
        'columns', CASE WHEN typtype = 'c' THEN (
          SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'name', attname, 'type', format_type(atttypid, atttypmod), 'not_null', false,
            'collation', CASE WHEN attcollation NOT IN (0, 100) THEN attcollation::regcollation::text END,
            'comment', notes -> ('1259/' || attrelid || '/' || attnum))) ORDER BY attnum)
          FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) END,
        'type', CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END,
        'not_null', CASE WHEN typnotnull THEN true END,
        'default', typdefault,
        'collation', CASE WHEN typtype = 'd' AND typcollation NOT IN (0, 100) THEN typcollation::regcollation::text END,
        'constraints', CASE WHEN typtype = 'd' THEN (
          SELECT jsonb_object_agg(conname, jsonb_strip_nulls(jsonb_build_object(
            'definition', pg_get_constraintdef(k.oid), 'comment', notes -> ('2606/' || k.oid || '/0'))))
          FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c') END,
        'range', (SELECT jsonb_build_object('subtype', format_type(rngsubtype, NULL), 'collation', nullif(rngcollation, 0)::regcollation,
            'canonical', nullif(rngcanonical, 0)::regprocedure, 'difference', nullif(rngsubdiff, 0)::regprocedure,
            'multirange', format_type(rngmultitypid, NULL))
          FROM pg_range WHERE rngtypid = t.oid),
        'definition', CASE WHEN typtype = 'b' THEN format('input %s, output %s, length %s, alignment %s, storage %s, category %s',
          typinput, typoutput, typlen, typalign, typstorage, typcategory) END,
        'grants', @schema@.shape_grants(typacl, 'T', typowner),
        'comment', notes -> ('1247/' || t.oid || '/0'),
        'linked', CASE WHEN NOT whole AND t.oid <> ALL (named_ids) THEN true END)))
      INTO added
      FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
      WHERE t.oid = ANY (type_ids) AND t.typnamespace IS DISTINCT FROM own_schema AND typtype <> 'm' AND NOT (typtype = 'b' AND typcategory = 'A')
        AND (typtype <> 'c' OR EXISTS (SELECT FROM pg_class AS c WHERE c.oid = typrelid AND c.relkind = 'c'));
      objects := objects || coalesce(added, '{}');
    END IF;
  END IF;
  IF schema_ids IS NOT NULL THEN
    SELECT jsonb_object_agg('schema ' || quote_ident(nspname), jsonb_strip_nulls(jsonb_build_object(
      'owner', pg_get_userbyid(nspowner), 'grants', @schema@.shape_grants(nspacl, 'n', nspowner), 'comment', notes -> ('2615/' || oid || '/0'))))
    INTO added FROM pg_namespace WHERE oid = ANY (schema_ids);
    objects := objects || coalesce(added, '{}');
  END IF;
  IF extension_ids IS NOT NULL THEN
    SELECT jsonb_object_agg('extension ' || quote_ident(extname), jsonb_strip_nulls(jsonb_build_object(
      'schema', n.nspname, 'version', extversion, 'comment', notes -> ('3079/' || e.oid || '/0'))))
    INTO added FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.oid = ANY (extension_ids);
    objects := objects || coalesce(added, '{}');
  END IF;
  IF others THEN
    objects := objects || @schema@.shape_others();
  END IF;
  RETURN jsonb_build_object('objects', objects, 'whole', whole);
END
$shape$;

-- The search path is read here, outside the settings of the function that does the work.
CREATE OR REPLACE FUNCTION @schema@.shape(touch pg_catalog.jsonb) RETURNS pg_catalog.jsonb LANGUAGE sql STABLE
AS $shape$ SELECT @schema@.shape_in(touch, pg_catalog.current_schemas(false)) $shape$;
