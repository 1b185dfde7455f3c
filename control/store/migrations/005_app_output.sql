-- What the app wrote last where a release did not come up: in environments for development alone, where who sees it is who wrote it.
ALTER TABLE deployment_reports ADD COLUMN output text;
