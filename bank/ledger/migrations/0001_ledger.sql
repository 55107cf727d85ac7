-- Double entry. What the service checks, the tables check a second time: a mistake in a program, or a person at a
-- prompt, must not be able to make or lose money.
--
-- Migrations go forward only, and the version before must go on working while the next one is rolled out, and after a
-- rollback: add first, and take away what nobody reads any more in a later release.

CREATE TABLE accounts (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    allow_overdraft boolean NOT NULL,
    -- In minor units; what the bank owes the holder. Kept with each posting, so that reading it costs one row.
    balance bigint NOT NULL DEFAULT 0,
    -- How many postings there are: the sequence number of the last one.
    postings bigint NOT NULL DEFAULT 0,
    last_posted_at timestamptz,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT no_overdraft CHECK (allow_overdraft OR balance >= 0),
    UNIQUE (id, currency)
) WITH (fillfactor = 70); -- room for the new version of a row beside the old: a busy account's updates touch no index

CREATE TABLE transfers (
    -- The client's own name for it: whoever comes second with the same name finds the first.
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text COLLATE "C" NOT NULL,
    reference text NOT NULL CHECK (char_length(reference) <= 140),
    posted_at timestamptz NOT NULL,
    CHECK (debit <> credit),
    -- Both accounts are in the transfer's currency.
    FOREIGN KEY (debit, currency) REFERENCES accounts (id, currency),
    FOREIGN KEY (credit, currency) REFERENCES accounts (id, currency)
);

CREATE TABLE postings (
    account text COLLATE "C" NOT NULL REFERENCES accounts (id),
    -- From 1 and without gaps, given out under the account's row lock: in the order in which the postings were made.
    sequence bigint NOT NULL CHECK (sequence > 0),
    transfer text COLLATE "C" NOT NULL REFERENCES transfers (id),
    amount bigint NOT NULL CHECK (amount <> 0),
    -- The account's after this posting.
    balance bigint NOT NULL,
    posted_at timestamptz NOT NULL,
    PRIMARY KEY (account, sequence),
    UNIQUE (transfer, account)
);

CREATE INDEX postings_by_time ON postings (account, posted_at, sequence);

-- A transfer has its two postings, one for each side, and no other. So every transfer sums to zero, and so does the
-- ledger. Checked when the transaction ends.
CREATE FUNCTION check_transfer(wanted text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    legs bigint;
    right_legs bigint;
BEGIN
    SELECT count(*),
           count(*) FILTER (WHERE p.posted_at = t.posted_at AND ((p.account = t.debit AND p.amount = -t.amount) OR (p.account = t.credit AND p.amount = t.amount)))
      INTO legs, right_legs
      FROM transfers t JOIN postings p ON p.transfer = t.id
     WHERE t.id = wanted;
    IF legs <> 2 OR right_legs <> 2 THEN
        RAISE EXCEPTION 'transfer % does not have just its two postings', wanted USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;

CREATE FUNCTION check_transfer_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_transfer(NEW.id);
    RETURN NULL;
END $$;

-- A posting carries on from the one before it in its account.
CREATE FUNCTION check_posting_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := 0;
BEGIN
    PERFORM check_transfer(NEW.transfer);
    IF NEW.sequence > 1 THEN
        SELECT balance INTO before FROM postings WHERE account = NEW.account AND sequence = NEW.sequence - 1 AND posted_at <= NEW.posted_at;
    END IF;
    IF before IS NULL OR before::numeric + NEW.amount <> NEW.balance THEN
        RAISE EXCEPTION 'posting % of account % does not carry on from the one before', NEW.sequence, NEW.account USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

-- An account stands where its last posting left it.
CREATE FUNCTION check_account_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.id, NEW.currency, NEW.allow_overdraft, NEW.opened_at) IS DISTINCT FROM (OLD.id, OLD.currency, OLD.allow_overdraft, OLD.opened_at) THEN
        RAISE EXCEPTION 'account % cannot be changed', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.postings < OLD.postings THEN
        RAISE EXCEPTION 'account % cannot go back to an earlier posting', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.postings = 0 THEN
        IF NEW.balance <> 0 THEN
            RAISE EXCEPTION 'account % has a balance without a posting', NEW.id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM postings WHERE account = NEW.id AND sequence = NEW.postings AND balance = NEW.balance) THEN
        RAISE EXCEPTION 'the balance of account % is not that of its last posting', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

-- And the other way round: no posting is beyond what its account counts.
CREATE FUNCTION check_posting_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM accounts WHERE id = NEW.account AND postings >= NEW.sequence) THEN
        RAISE EXCEPTION 'posting % of account % is not counted there', NEW.sequence, NEW.account USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER transfer_balances AFTER INSERT ON transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transfer_row();
CREATE CONSTRAINT TRIGGER posting_carries_on AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_posting_row();
CREATE CONSTRAINT TRIGGER posting_counted AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_posting_counted();
CREATE CONSTRAINT TRIGGER account_stands AFTER INSERT OR UPDATE ON accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_account_row();

-- What was booked stays as it was. A mistake is mended by another transfer.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is not allowed: the ledger is only added to', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER transfers_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER accounts_not_removed BEFORE DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
