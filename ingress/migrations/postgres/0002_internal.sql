-- Jobs that no client submitted, such as the summaries of sessions: lists leave them out unless they are asked for.
ALTER TABLE jobs ADD COLUMN internal BOOLEAN NOT NULL DEFAULT FALSE;
