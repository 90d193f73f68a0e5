-- What a role needs to serve, and no more: it cannot change or delete what is in the journal.
GRANT USAGE ON SCHEMA paycli TO :role;
GRANT SELECT ON ALL TABLES IN SCHEMA paycli TO :role;
GRANT INSERT ON payment, entry, balance, intent TO :role;
GRANT UPDATE (captured, voided, refunded, expired, version, updated_us) ON payment TO :role;
GRANT UPDATE (amount) ON balance TO :role;
GRANT UPDATE, DELETE ON intent TO :role;
GRANT UPDATE ON key_lock TO :role;
GRANT SELECT, USAGE ON entry_seq TO :role;
GRANT EXECUTE ON FUNCTION newest_seq() TO :role;
