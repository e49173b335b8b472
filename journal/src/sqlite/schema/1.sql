-- The number stands for the id in `records`, whose index is then small: appends to
-- many runs at once touch few pages.
CREATE TABLE runs (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- The last entry, and its hash: what the next batch must fit.
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    -- What lists are filtered by; the summary has it all.
    runbook TEXT NOT NULL,
    environment TEXT NOT NULL,
    status TEXT NOT NULL,
    incident TEXT,
    started_at TEXT NOT NULL,
    summary TEXT NOT NULL
) STRICT;

-- Never updated, never deleted. With a rowid, so that entries lie in the order in which
-- they came, and a commit writes them side by side.
CREATE TABLE records (
    run INTEGER NOT NULL REFERENCES runs (num),
    seq INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;

-- A target that was locked once stays, for its fence. Free where `run` is null.
CREATE TABLE locks (
    target TEXT PRIMARY KEY,
    run TEXT,
    fence INTEGER NOT NULL,
    until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
