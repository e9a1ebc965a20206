# ruff: noqa: E501 - rows and definitions are easier to compare in one line
"""A schema with everything that a dump can get wrong."""

from __future__ import annotations

SCHEMA = r"""
CREATE SCHEMA "Odd ""schema""; drop table x";
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION double_it(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $f$
-- Name: tell; Type: TABLE; Schema: public; Owner: postgres
BEGIN RAISE EXCEPTION 'triggers must not fire while rows are put back'; END $f$;
CREATE SEQUENCE loose START 500 INCREMENT 5;

CREATE TABLE every_type (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(10, 2), t text, v varchar(20), c char(5),
  by bytea, d date, ts timestamp, tz timestamptz, ti time, tt timetz, iv interval, u uuid, j json, jb jsonb, x text,
  m mood, p pair, pos positive, ia int[], ta text[], ma mood[], r int4range, ip inet, ci cidr, mac macaddr, bi bit(4),
  vb varbit, mo money, pt point, bx box, tsv tsvector, o oid, reg regclass, ch "char", na name, ls pg_lsn
);
INSERT INTO every_type (
  b, i2, i8, f4, f8, n, n2, t, v, c, by, d, ts, tz, ti, tt, iv, u, j, jb, x, m, p, pos, ia, ta, ma, r, ip, ci, mac, bi,
  vb, mo, pt, bx, tsv, o, reg, ch, na, ls
) VALUES
  (true, -32768, 9223372036854775807, 'NaN', '-Infinity', 'NaN', 12.50, E'tab\tline\nback\\slash\r \x01 \u00e9 \U0001f600', 'v',
   'ab', '\x00ff5c2e0a', 'infinity', '-infinity', '2026-01-01 00:00:00+02', '24:00', '12:00+05:30', '1 mon 30 days',
   'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1,  "a": 2}', '{"b": [1.0, null]}', '<a>x</a>', 'it''s "fine"',
   ROW(1, 'x,"y"'), 7, '{1,NULL,3}', '{"a,b","NULL",NULL,"\\"}', '{sad,happy}', '[1,5)', '10.0.0.1/8', '10.0.0.0/8',
   '08:00:2b:01:02:03', B'1010', B'101', 12.34, '(1,2)', '((0,0),(1,1))', 'fat:2 cat:1', 4294967295, 'pg_class', 'x',
   'name', '16/B374D848'),
  (NULL, 0, 0, 1e-30, 0.1::float8 + 0.2::float8, 1.50, NULL, '\.', '', '', '', '0044-03-15 BC', '2026-01-01 12:00:00.123456',
   'infinity', '00:00', '00:00-12', '-1 day +02:03:04', NULL, 'null', '"x"', NULL, 'sad', NULL, 1, '{}', '{}', NULL, 'empty',
   '::1', '::/0', NULL, B'0000', B'', -1, NULL, NULL, '', 0, NULL, '', '', '0/0'),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL);

CREATE TABLE "Odd ""schema""; drop table x"."Ta""ble; -- 😀" (
  "Key one" text, "key'two" int, "a\b" text DEFAULT 'x' || nextval('loose'),
  "gen" int GENERATED ALWAYS AS ("key'two" * 3) STORED,
  "select" numeric, PRIMARY KEY ("Key one", "key'two")
);
INSERT INTO "Odd ""schema""; drop table x"."Ta""ble; -- 😀" ("Key one", "key'two", "select")
  SELECT 'k' || g, g, g * 1.10 FROM generate_series(1, 50) g;

CREATE TABLE tree (
  id bigserial PRIMARY KEY, up bigint REFERENCES tree DEFERRABLE, label text COLLATE "C" NOT NULL UNIQUE,
  twice int GENERATED ALWAYS AS (double_it(length(label))) STORED, n int DEFAULT double_it(4) CHECK (double_it(n) < 1000)
);
INSERT INTO tree (id, up, label) VALUES (3, NULL, 'root'), (2, 3, 'child'), (1, 2, 'leaf');
SELECT setval('tree_id_seq', 77);
CREATE INDEX tree_label ON tree (lower(label)) WHERE up IS NOT NULL;
CREATE STATISTICS tree_stats ON up, n FROM tree;
CREATE TRIGGER tree_tells BEFORE INSERT OR UPDATE OR DELETE ON tree FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tree_is_emptied BEFORE TRUNCATE ON tree FOR EACH STATEMENT EXECUTE FUNCTION tell();
COMMENT ON TABLE tree IS 'a tree; it''s here';
COMMENT ON COLUMN tree.label IS 'its label';
ALTER TABLE tree REPLICA IDENTITY FULL;

CREATE TABLE outside (id int PRIMARY KEY, tree_id bigint REFERENCES tree ON DELETE CASCADE);
INSERT INTO outside VALUES (1, 1), (2, 3);

CREATE VIEW branches AS SELECT up, count(*) AS n FROM tree GROUP BY up;
CREATE VIEW grouped AS SELECT id, label, twice FROM tree GROUP BY id;
CREATE VIEW deeper AS SELECT * FROM grouped WHERE twice > 1;
CREATE MATERIALIZED VIEW seen AS SELECT label FROM tree;
CREATE UNIQUE INDEX seen_label ON seen (label);
CREATE FUNCTION label_of(tree) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.label';

CREATE TABLE measured (at date NOT NULL, place int NOT NULL, v float8, PRIMARY KEY (at, place)) PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (place);
CREATE TABLE measured_2026_1 PARTITION OF measured_2026 FOR VALUES IN (1);
CREATE TABLE measured_2026_rest PARTITION OF measured_2026 DEFAULT;
CREATE INDEX measured_v ON measured (v);
INSERT INTO measured SELECT date '2025-06-01' + g, g % 3, CASE WHEN g % 7 = 0 THEN 'NaN'::float8 ELSE g END FROM generate_series(0, 400) g;

CREATE TABLE parent_t (id int, note text);
CREATE TABLE child_t (extra int) INHERITS (parent_t);
INSERT INTO parent_t VALUES (1, 'p'), (1, 'p'), (2, NULL);
INSERT INTO child_t VALUES (1, 'c', 9);

CREATE TABLE hollow (id int PRIMARY KEY, t text);
CREATE TABLE columnless ();
INSERT INTO columnless SELECT FROM generate_series(1, 4);
CREATE TABLE guarded (id int PRIMARY KEY, who text);
INSERT INTO guarded VALUES (1, 'a'), (2, 'b');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (who = current_user);
CREATE RULE quiet AS ON DELETE TO guarded DO INSTEAD NOTHING;
GRANT SELECT ON guarded TO PUBLIC;
"""
