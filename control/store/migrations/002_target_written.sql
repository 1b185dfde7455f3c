-- A change of replicas or environment that is on its way says nothing of the digest: the annotation counts meanwhile.
ALTER TABLE deployments ADD COLUMN is_target_written boolean NOT NULL DEFAULT false;
UPDATE deployments SET is_target_written = is_applied;
