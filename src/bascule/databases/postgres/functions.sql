-- What Bascule's messages call. `@schema@` stands for the quoted name of its schema.
--
-- A script may leave any search path, role or setting behind, so every function sets its own search path and names its tables in
-- full. Bodies may change between versions; a changed signature is a new layout.

-- The fence, and limits for the length of the transaction. NULL leaves a limit as it is.
CREATE OR REPLACE FUNCTION @schema@.enter(held bigint, lock_limit text, statement_limit text, idle_limit text, check_interval text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $enter$
BEGIN
  PERFORM set_config('lock_timeout', lock_limit, true), set_config('idle_in_transaction_session_timeout', idle_limit, true);
  IF statement_limit IS NOT NULL THEN
    PERFORM set_config('statement_timeout', statement_limit, true);
  END IF;
  IF check_interval IS NOT NULL THEN
    PERFORM set_config('client_connection_check_interval', check_interval, true);
  END IF;
  PERFORM FROM @schema@.lease WHERE name = 'target' AND token = held AND owner IS NOT NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease with token % is no longer ours', held USING ERRCODE = 'ZB001';
  END IF;
  PERFORM set_config('bascule.transaction', pg_current_xact_id()::text, true);
END
$enter$;

-- Nothing of these names is in any schema, and nothing else is named than tables, their columns and indexes: there `shape`
-- answers that it has seen nothing. To ask this first is cheaper than to have a function of its size compiled and called.
CREATE OR REPLACE FUNCTION @schema@.is_absent(touch pg_catalog.jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $absent$
DECLARE
  object jsonb;
BEGIN
  IF touch -> 'everything' <> 'false' THEN
    RETURN false;
  END IF;
  FOR object IN SELECT value FROM jsonb_array_elements(touch -> 'objects') LOOP
    IF object ->> 'kind' <> 'relation' OR EXISTS (
      SELECT FROM pg_class AS c
      WHERE c.relname = (object ->> 'name')::name AND (object ->> 'column' IS NULL OR c.relkind = 'p' OR c.relhassubclass
        OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = (object ->> 'column')::name))
    ) THEN
      RETURN false;
    END IF;
  END LOOP;
  RETURN true;
END
$absent$;

-- The look of before. No search path of its own: `shape` looks for unqualified names where the script will.
CREATE OR REPLACE FUNCTION @schema@.keep(of_migration text, touch pg_catalog.jsonb) RETURNS void LANGUAGE plpgsql AS $keep$
BEGIN
  IF NOT EXISTS (SELECT FROM @schema@.before AS b WHERE b.migration OPERATOR(pg_catalog.=) of_migration) THEN
    INSERT INTO @schema@.before (migration, snapshot) VALUES (of_migration,
      CASE WHEN @schema@.is_absent(touch) THEN '{"objects": {}, "whole": false}'
      ELSE @schema@.shape(touch) END);
  ELSIF NOT EXISTS (SELECT FROM @schema@.ledger AS l WHERE l.name OPERATOR(pg_catalog.=) of_migration)
    AND NOT EXISTS (SELECT FROM @schema@.mark AS m WHERE m.migration OPERATOR(pg_catalog.=) of_migration)
  THEN
    -- It was rolled back, and runs anew: how things are now is what counts.
    DELETE FROM @schema@.before AS b WHERE b.migration OPERATOR(pg_catalog.=) of_migration;
    PERFORM @schema@.keep(of_migration, touch);
  END IF;
END
$keep$;

-- What becomes true with the commit. Answers the milliseconds since the transaction began.
-- `own_transaction`: the number of the transaction that `enter` was called in; NULL: as `enter` noted it.
CREATE OR REPLACE FUNCTION @schema@.leave(work jsonb, script_text text, own_transaction text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $leave$
DECLARE
  spent constant bigint := extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000;
  of_migration constant text := work ->> 'migration';
  entry jsonb;
BEGIN
  IF coalesce(own_transaction, current_setting('bascule.transaction', true)) IS DISTINCT FROM pg_current_xact_id()::text THEN
    RAISE EXCEPTION 'the script ended the transaction it runs in' USING ERRCODE = 'ZB002',
      DETAIL = 'What it did before that was committed or rolled back by itself; what came after is undone.';
  END IF;
  IF work ? 'step' THEN
    INSERT INTO @schema@.mark (migration, direction, step, digest, run_id)
    VALUES (of_migration, work ->> 'direction', (work ->> 'step')::integer, work ->> 'digest', work ->> 'run')
    ON CONFLICT (migration, direction, step) DO UPDATE SET digest = excluded.digest, run_id = excluded.run_id;
  END IF;
  IF work ? 'clear' THEN
    DELETE FROM @schema@.mark WHERE migration = of_migration;
  END IF;
  IF work ? 'forget' THEN
    DELETE FROM @schema@.before WHERE migration = of_migration;
  END IF;
  IF work ->> 'remove' IS NOT NULL THEN
    DELETE FROM @schema@.ledger WHERE name = work ->> 'remove';
  END IF;
  IF work ? 'entry' THEN
    entry := work -> 'entry';
    IF entry ->> 'position' IS NULL THEN
      INSERT INTO @schema@.ledger (name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser, how,
        repeatable, script)
      SELECT e.name, e.version, e.run_id, clock_timestamp(), coalesce(e.execution_ms, spent), e.exact_hash, e.semantic_hash,
        e.parser, e.how, e.repeatable, script_text
      FROM jsonb_to_record(entry) AS e (name text, version text, run_id text, execution_ms bigint, exact_hash text,
        semantic_hash text, parser text, how text, repeatable boolean)
      ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position, run_id = excluded.run_id,
        applied_at = excluded.applied_at, execution_ms = excluded.execution_ms, exact_hash = excluded.exact_hash,
        semantic_hash = excluded.semantic_hash, parser = excluded.parser, how = excluded.how,
        repeatable = excluded.repeatable, script = excluded.script;
    ELSE
      -- One that is corrected keeps its position and time. It was read from the ledger, which leaves scripts out: an empty one
      -- takes nothing away.
      script_text := coalesce(nullif(script_text, ''), (SELECT l.script FROM @schema@.ledger AS l WHERE l.name = entry ->> 'name'));
      DELETE FROM @schema@.ledger WHERE name = entry ->> 'name';
      INSERT INTO @schema@.ledger (name, version, position, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser,
        how, repeatable, script)
      SELECT e.name, e.version, e.position, e.run_id, e.applied_at, coalesce(e.execution_ms, spent), e.exact_hash,
        e.semantic_hash, e.parser, e.how, e.repeatable, script_text
      FROM jsonb_to_record(entry) AS e (name text, version text, position bigint, run_id text, applied_at timestamptz,
        execution_ms bigint, exact_hash text, semantic_hash text, parser text, how text, repeatable boolean);
    END IF;
  END IF;
  IF work ? 'facts' THEN
    INSERT INTO @schema@.journal (at, kind, run_id, migration, direction, step, data)
    SELECT clock_timestamp(), f.kind, f.run_id, f.migration, f.direction, f.step,
      CASE WHEN f.kind IN ('run_completed', 'rolled_back') THEN jsonb_build_object('ms', spent) || f.data ELSE f.data END
    FROM jsonb_to_recordset(work -> 'facts')
      AS f (kind text, run_id text, migration text, direction text, step integer, data jsonb);
  END IF;
  RETURN spent;
END
$leave$;

-- The same for the usual case, an up that becomes applied, whose bookkeeping then costs half: an entry of its own name, no
-- marks, and at most one fact, about the run itself.
CREATE OR REPLACE FUNCTION @schema@.leave(of_migration text, of_run text, of_direction text, its_version text, its_ms bigint,
  its_exact_hash text, its_semantic_hash text, its_parser text, how_applied text, is_repeatable boolean, script_text text,
  fact_kind text, fact_data jsonb)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $leave$
DECLARE
  spent constant bigint := extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000;
BEGIN
  IF current_setting('bascule.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
    RAISE EXCEPTION 'the script ended the transaction it runs in' USING ERRCODE = 'ZB002',
      DETAIL = 'What it did before that was committed or rolled back by itself; what came after is undone.';
  END IF;
  INSERT INTO @schema@.ledger (name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser, how,
    repeatable, script)
  VALUES (of_migration, its_version, of_run, clock_timestamp(), coalesce(its_ms, spent), its_exact_hash, its_semantic_hash,
    its_parser, how_applied, is_repeatable, script_text)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position, run_id = excluded.run_id,
    applied_at = excluded.applied_at, execution_ms = excluded.execution_ms, exact_hash = excluded.exact_hash,
    semantic_hash = excluded.semantic_hash, parser = excluded.parser, how = excluded.how,
    repeatable = excluded.repeatable, script = excluded.script;
  IF fact_kind IS NOT NULL THEN
    INSERT INTO @schema@.journal (at, kind, run_id, migration, direction, data)
    VALUES (clock_timestamp(), fact_kind, of_run, of_migration, of_direction,
      CASE WHEN fact_kind = 'run_completed' THEN jsonb_build_object('ms', spent) || fact_data ELSE fact_data END);
  END IF;
  RETURN spent;
END
$leave$;

-- Facts beside a change. `durable`: they survive a power loss once this has been committed.
CREATE OR REPLACE FUNCTION @schema@.append(facts jsonb, durable boolean, about uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $append$
BEGIN
  IF NOT durable THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  INSERT INTO @schema@.journal (at, kind, run_id, migration, direction, step, data, target)
  SELECT clock_timestamp(), f.kind, f.run_id, f.migration, f.direction, f.step, f.data, about
  FROM jsonb_to_recordset(facts) AS f (kind text, run_id text, migration text, direction text, step integer, data jsonb);
END
$append$;

-- Whether a server process is still there, in this database: a copy of a database has its original's lease in it. Its start
-- tells it from a later one with the same number; a role without rights on another's sessions does not see the start and has to
-- take the number's word.
CREATE OR REPLACE FUNCTION @schema@.is_there(its_pid integer, its_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $there$
BEGIN
  -- A NULL number would ask for every session.
  RETURN its_pid IS NOT NULL AND EXISTS (
    SELECT FROM pg_stat_get_activity(its_pid) AS a
    WHERE coalesce(a.backend_start = its_start, true) AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()));
END
$there$;

-- The server processes that may still do a former holder's work: that of its main connection, and behind a pooler every one that is
-- at work under its tag, or has held the fence since the lease was good: a Python migration that is between two statements of its
-- author's shows no tag. `expired`: NULL where a connection tells whose work it is. The second before it is for those who were just
-- trying to take the lease over and lock the row for a moment.
CREATE OR REPLACE FUNCTION @schema@.workers(its_pid integer, its_start timestamptz, its_tag text, expired timestamptz) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $workers$
BEGIN
  RETURN (
    SELECT jsonb_agg(jsonb_build_object('pid', pid, 'start', backend_start, 'idle', state = 'idle', 'user', usename,
      'application', application_name, 'state', state, 'query', left(query, 120)))
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database() AND (
      (pid = its_pid AND coalesce(backend_start = its_start, true))
      OR (state NOT IN ('idle', 'disabled')
        AND (application_name LIKE '%_ ' || its_tag OR starts_with(query, '/* bascule ' || its_tag || ' ')))
      OR (xact_start < expired - interval '1 second' AND pid IN (
        SELECT l.pid FROM pg_locks AS l
        WHERE l.locktype = 'relation' AND l.relation = $own$@schema@.lease$own$::regclass AND l.mode = 'RowShareLock' AND l.granted
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))))
  );
END
$workers$;

CREATE OR REPLACE FUNCTION @schema@.holder_words(l @schema@.lease) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $words$
BEGIN
  RETURN jsonb_build_object('owner', l.owner, 'run', l.run, 'since', l.since, 'expires_at', l.expires_at, 'token', l.token,
    'backend', CASE WHEN l.main_pid IS NOT NULL THEN l.main_pid || ' since ' || l.main_start END);
END
$words$;

-- Its process is surely gone, whatever time the lease still has. Where only a pooler's connections are known nothing is sure.
CREATE OR REPLACE FUNCTION @schema@.is_orphaned(l @schema@.lease) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $orphaned$
BEGIN
  IF l.keeper_pid IS NOT NULL THEN
    RETURN NOT @schema@.is_there(l.keeper_pid, l.keeper_start);
  END IF;
  RETURN l.main_pid IS NOT NULL AND NOT @schema@.is_there(l.main_pid, l.main_start);
END
$orphaned$;

-- One try. Answers {"outcome": …}: "taken" with token and, after an unclean end, the former holder; "held" with the holder;
-- "leaving" with the workers of a holder who is gone or late; "contended" when somebody has the row locked right now.
CREATE OR REPLACE FUNCTION @schema@.acquire(by_owner text, for_run text, ttl interval, by_tag text, is_pooled boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $acquire$
DECLARE
  seen @schema@.lease;
  found_workers jsonb;
  new_token bigint;
BEGIN
  SELECT * INTO STRICT seen FROM @schema@.lease WHERE name = 'target';
  IF seen.owner IS NOT NULL THEN
    IF seen.expires_at > clock_timestamp() AND NOT @schema@.is_orphaned(seen) THEN
      RETURN jsonb_build_object('outcome', 'held', 'holder', @schema@.holder_words(seen));
    END IF;
    found_workers := @schema@.workers(seen.main_pid, seen.main_start, CASE WHEN seen.pooled THEN seen.tag END,
      CASE WHEN seen.pooled THEN seen.expires_at END);
    IF found_workers IS NOT NULL THEN
      RETURN jsonb_build_object('outcome', 'leaving', 'expired', seen.expires_at <= clock_timestamp(),
        'holder', @schema@.holder_words(seen), 'workers', found_workers);
    END IF;
  END IF;
  PERFORM FROM @schema@.lease
  WHERE name = 'target' AND token = seen.token AND owner IS NOT DISTINCT FROM seen.owner
    AND expires_at IS NOT DISTINCT FROM seen.expires_at
  FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('outcome', 'contended', 'holder', @schema@.holder_words(seen));
  END IF;
  -- A token that the disk forgot, or that a standby which took over has not heard of, would be given out a second time.
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  new_token := greatest(seen.token + 1, extract(epoch FROM clock_timestamp()) * 1000);
  UPDATE @schema@.lease
  SET token = new_token, owner = by_owner, run = for_run, tag = by_tag, pooled = is_pooled, since = clock_timestamp(),
    expires_at = clock_timestamp() + ttl, main_pid = NULL, main_start = NULL, keeper_pid = NULL, keeper_start = NULL
  WHERE name = 'target';
  IF NOT is_pooled THEN
    PERFORM @schema@.adopt(new_token, ttl, pg_backend_pid());
  END IF;
  RETURN jsonb_build_object('outcome', 'taken', 'token', new_token,
    'former', CASE WHEN seen.owner IS NOT NULL THEN @schema@.holder_words(seen) END);
END
$acquire$;

-- The holder's work is done by another server process from now on. False: the lease is not its any more.
CREATE OR REPLACE FUNCTION @schema@.adopt(held bigint, ttl interval, its_pid integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $adopt$
BEGIN
  UPDATE @schema@.lease
  SET expires_at = clock_timestamp() + ttl, main_pid = its_pid,
    main_start = (SELECT backend_start FROM pg_stat_get_activity(its_pid) WHERE its_pid IS NOT NULL)
  WHERE name = 'target' AND token = held AND owner IS NOT NULL;
  RETURN FOUND;
END
$adopt$;

-- A heartbeat. `is_direct`: it comes on a connection of its own, whose end tells that the holder's process is gone.
CREATE OR REPLACE FUNCTION @schema@.renew(held bigint, ttl interval, is_direct boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $renew$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE @schema@.lease
  SET expires_at = clock_timestamp() + ttl,
    keeper_pid = CASE WHEN is_direct THEN pg_backend_pid() END,
    keeper_start = CASE WHEN is_direct THEN (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())) END
  WHERE name = 'target' AND token = held AND owner IS NOT NULL;
  RETURN FOUND;
END
$renew$;

-- Given back. `is_clean`: no server process of the holder is at work any more. Otherwise the next one has to see to that.
CREATE OR REPLACE FUNCTION @schema@.release(held bigint, is_clean boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $release$
BEGIN
  UPDATE @schema@.lease
  SET expires_at = clock_timestamp(), owner = CASE WHEN NOT is_clean THEN owner END
  WHERE name = 'target' AND token = held;
END
$release$;
