-- An artifact that nobody uses is retired first: no deployment gets it any more, as if it had never come, while pods that are on
-- their way still do. Some time later it is removed, or sent again and an artifact as before (docs/adr/0023-retired-artifacts.md).
ALTER TABLE artifacts ADD COLUMN sent_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE artifacts ADD COLUMN retired_at timestamptz;
CREATE INDEX artifacts_retired ON artifacts (app, retired_at) WHERE retired_at IS NOT NULL;
