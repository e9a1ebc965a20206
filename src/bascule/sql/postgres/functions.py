"""Functions of PostgreSQL that a statement may call without changing any schema object."""

from __future__ import annotations

# Deliberately not the whole of pg_catalog: what runs SQL it is given (query_to_xml, ts_stat, ts_rewrite), what writes
# large objects, files, slots or statistics, and what only internals call, stays out and counts as unknown.
_BUILTIN = """
abs acos acosd acosh age any_value array_agg array_append array_cat array_dims array_fill array_length array_lower
array_ndims array_position array_positions array_prepend array_remove array_replace array_reverse array_sample
array_shuffle array_sort array_to_json array_to_string array_to_tsvector array_upper ascii asin asind asinh atan
atan2 atan2d atand atanh avg
bit_and bit_count bit_length bit_or bit_xor bool_and bool_or box btrim
cardinality casefold cbrt ceil ceiling center char_length character_length chr circle clock_timestamp
col_description concat concat_ws convert convert_from convert_to corr cos cosd cosh cot cotd count covar_pop
covar_samp crc32 crc32c cume_dist current_database current_query current_schema current_schemas current_setting
currval
date date_add date_bin date_part date_subtract date_trunc daterange datemultirange decode degrees dense_rank
diameter div
encode enum_first enum_last enum_range erf erfc every exp extract
factorial family first_value floor format format_type
gamma gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte
getdatabaseencoding
has_any_column_privilege has_column_privilege has_database_privilege has_function_privilege has_schema_privilege
has_sequence_privilege has_table_privilege has_type_privilege hashtext hashtextextended height host hostmask
inet_client_addr inet_server_addr initcap int4range int4multirange int8range int8multirange isempty isfinite
json_agg json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
json_each json_each_text json_extract_path json_extract_path_text json_object json_object_agg json_object_keys
json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval
lag last_value lastval lcm lead left length lgamma like_escape ln log log10 lower lower_inc
lower_inf lpad ltrim
macaddr8_set7bit make_date make_interval make_time make_timestamp make_timestamptz masklen max md5 min min_scale
mod mode multirange
netmask network nextval normalize now nth_value ntile num_nonnulls num_nulls numeric nummultirange numrange
numnode
obj_description octet_length overlaps overlay
parse_ident percent_rank percentile_cont percentile_disc pg_advisory_lock pg_advisory_lock_shared
pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock
pg_advisory_xact_lock_shared pg_backend_pid pg_collation_for pg_column_size pg_database_size pg_get_constraintdef
pg_get_expr pg_get_functiondef pg_get_indexdef pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid
pg_get_viewdef pg_indexes_size pg_is_in_recovery pg_is_other_temp_schema pg_notify pg_relation_size
pg_size_pretty pg_sleep pg_sleep_for pg_sleep_until pg_table_is_visible pg_table_size pg_total_relation_size
pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
pg_type_is_visible pg_typeof phraseto_tsquery pi plainto_tsquery point polygon position power
quote_ident quote_literal quote_nullable
radians radius random random_normal range_agg range_intersect_agg range_merge rank regexp_count regexp_instr
regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse
right round row_number row_to_json rpad rtrim
scale session_user set_bit set_byte set_config set_masklen setseed setval setweight sha224 sha256 sha384 sha512
shobj_description sign similar_to_escape sin sind sinh split_part sqrt starts_with statement_timestamp stddev
stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr substring sum
tan tand tanh text timeofday timestamp timestamptz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb
to_number to_oct to_regclass to_regnamespace to_regproc to_regprocedure to_regrole to_regtype to_timestamp
to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_delete ts_filter
ts_headline ts_rank ts_rank_cd tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array
txid_current txid_current_if_assigned pg_current_xact_id
unicode_assigned unistr unnest upper upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
var_pop var_samp variance version
websearch_to_tsquery width width_bucket
xmlagg xmlcomment xmlexists xmltext xpath xpath_exists xml_is_well_formed
"""
BUILTIN = frozenset(_BUILTIN.split())

# Of the extensions that come with PostgreSQL (uuid-ossp, pgcrypto, unaccent, pg_trgm, hstore, ltree). These stand in
# whatever schema the extension was put in.
_EXTENSION = """
uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil uuid_ns_dns
uuid_ns_oid uuid_ns_url uuid_ns_x500
armor crypt dearmor digest gen_random_bytes gen_salt hmac pgp_pub_decrypt pgp_pub_encrypt pgp_sym_decrypt
pgp_sym_encrypt
unaccent similarity word_similarity show_trgm
akeys avals hstore hstore_to_json hstore_to_jsonb skeys svals
ltree2text nlevel subltree subpath text2ltree
"""
EXTENSION = frozenset(_EXTENSION.split())

# What these leave behind belongs to the session and outlives the statement's transaction.
_SESSION = """
pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
pg_try_advisory_lock pg_try_advisory_lock_shared setseed
"""
SESSION = frozenset(_SESSION.split())


def is_known(parts: tuple[str, ...]) -> bool:
    """Whether a function of that name, as it was written, is known to change no schema object."""
    name = parts[-1]
    return name in EXTENSION or (name in BUILTIN and (len(parts) == 1 or parts[-2] == "pg_catalog"))
