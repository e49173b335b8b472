-- Texts are compared byte by byte, whatever the database's language: ids and times are ordered so.

-- The number stands for the id in `records`, whose index is then small.
CREATE TABLE runs (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    -- The last entry, and its hash: what the next batch must fit.
    seq bigint NOT NULL,
    hash text NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    -- What lists are filtered by; the summary has it all.
    runbook text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    incident text COLLATE "C",
    started_at text COLLATE "C" NOT NULL,
    summary text NOT NULL
)
-- The row of a run changes with every batch: room for that beside it keeps the indexes still.
WITH (fillfactor = 70);

CREATE INDEX runs_by_status ON runs (status, id);

-- Never updated, never deleted. `run` is a number of `runs`: checking that for each entry would cost
-- more than it proves, since both are written by one statement.
CREATE TABLE records (
    run bigint NOT NULL,
    seq bigint NOT NULL,
    bytes bytea NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (run, seq)
);

-- A target that was locked once stays, for its fence. Free where `run` is null.
CREATE TABLE locks (
    target text COLLATE "C" PRIMARY KEY,
    run text,
    fence bigint NOT NULL,
    until text COLLATE "C" NOT NULL
);

-- What a server keeps beside the runs.
CREATE TABLE documents (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at text COLLATE "C" NOT NULL,
    state text COLLATE "C",
    parent text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (kind, id)
);

-- Lists come by time, of all, of one state or of one parent.
CREATE INDEX documents_by_time ON documents (kind, at, id);
CREATE INDEX documents_by_state ON documents (kind, state, at, id) WHERE state IS NOT NULL;
CREATE INDEX documents_by_parent ON documents (kind, parent, at, id) WHERE parent IS NOT NULL;

-- Which writes were committed: whoever lost the answer looks here before it writes again.
CREATE TABLE receipts (
    id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);

-- Who drives what. Neither table need survive the server: where they are gone, nobody drives
-- anything, and each claim is taken anew. An owner is a process, and is never used again.
CREATE UNLOGGED TABLE leases (
    owner text PRIMARY KEY,
    -- The connection that ends with the process.
    pid integer NOT NULL,
    connected_at timestamptz NOT NULL,
    until timestamptz NOT NULL
);

CREATE UNLOGGED TABLE claims (
    run text PRIMARY KEY,
    owner text NOT NULL,
    -- Tells the claims of one owner on one run apart.
    fence bigint NOT NULL
);
