-- History of jobs and the daily usage that it adds up to. A projection: everything here can be lost without losing a job.

CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    status TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT,
    lane TEXT NOT NULL,
    -- Moments are milliseconds since the Unix epoch.
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    -- The STATE sequence this row was folded from; 0 while no worker has touched the job.
    seq INTEGER NOT NULL,
    -- The job as its client reads it, in JSON.
    document TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE INDEX jobs_newest ON jobs (tenant, created_at DESC, id DESC);
CREATE INDEX jobs_newest_by_status ON jobs (tenant, status, created_at DESC, id DESC);
CREATE INDEX jobs_newest_by_model ON jobs (tenant, model, created_at DESC, id DESC);
CREATE INDEX jobs_expiry ON jobs (expires_at);

CREATE TABLE usage_daily (
    tenant TEXT NOT NULL,
    -- UTC, as 2026-01-31.
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, model)
) WITHOUT ROWID;
