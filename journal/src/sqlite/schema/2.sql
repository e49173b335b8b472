-- What a server keeps beside the runs. The number keeps large bodies out of the index.
CREATE TABLE documents (
    num INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    at TEXT NOT NULL,
    state TEXT,
    parent TEXT,
    body BLOB NOT NULL,
    UNIQUE (kind, id)
) STRICT;

-- Lists come by time, of all, of one state or of one parent.
CREATE INDEX documents_by_time ON documents (kind, at, id);
CREATE INDEX documents_by_state ON documents (kind, state, at, id) WHERE state IS NOT NULL;
CREATE INDEX documents_by_parent ON documents (kind, parent, at, id) WHERE parent IS NOT NULL;
