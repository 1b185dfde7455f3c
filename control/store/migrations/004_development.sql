-- Development keys sign something else than releases do (docs/adr/0020-development-key.md), and an artifact may have a signature of
-- either kind. What counts is the deployment's environment.
ALTER TABLE public_keys ADD COLUMN is_development boolean NOT NULL DEFAULT false;
ALTER TABLE artifacts ADD COLUMN development_signature text CHECK (development_signature ~ '^dev:[0-9a-f]{128}$');
ALTER TABLE artifacts ADD COLUMN development_key_id text;
ALTER TABLE artifacts ADD CONSTRAINT artifacts_development_key_fkey
  FOREIGN KEY (app, development_key_id) REFERENCES public_keys (app, id);
ALTER TABLE artifacts ADD CHECK ((development_signature IS NULL) = (development_key_id IS NULL));
