-- History of jobs and the daily usage that it adds up to. A projection: everything here can be lost without losing a job.
-- Keys compare by bytes (COLLATE "C"), so that order and indexes do not depend on the server's locale.

CREATE TABLE jobs (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    provider TEXT,
    lane TEXT NOT NULL,
    -- Moments are milliseconds since the Unix epoch.
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    -- The STATE sequence this row was folded from; 0 while no worker has touched the job.
    seq BIGINT NOT NULL,
    -- The job as its client reads it, in JSON. Not JSONB, which refuses \u0000 and would reorder fields.
    document TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX jobs_newest ON jobs (tenant, created_at DESC, id DESC);
CREATE INDEX jobs_newest_by_status ON jobs (tenant, status, created_at DESC, id DESC);
CREATE INDEX jobs_newest_by_model ON jobs (tenant, model, created_at DESC, id DESC);
CREATE INDEX jobs_expiry ON jobs (expires_at);

CREATE TABLE usage_daily (
    tenant TEXT COLLATE "C" NOT NULL,
    -- UTC, as 2026-01-31.
    day TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    jobs BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, model)
);
