-- What each account holds, kept beside the journal so that a balance costs one look-up.
-- A hold account has no row: its payment says authorized - captured - voided.

CREATE TABLE balance (
    account  TEXT    NOT NULL,
    currency TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID;

INSERT INTO balance
SELECT account, currency, sum(amount) FROM posting WHERE account NOT LIKE 'hold/%'
GROUP BY account, currency;
