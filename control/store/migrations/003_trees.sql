-- Trees beside archives. What a tree is made of, folder objects and files, belongs to an app and lies in that app's packs.
ALTER TABLE artifacts ADD COLUMN kind text NOT NULL DEFAULT 'archive' CHECK (kind IN ('archive', 'tree'));
-- Of a tree, expanded.
ALTER TABLE artifacts ADD COLUMN entries integer CHECK (entries >= 0);
ALTER TABLE artifacts ADD CHECK ((kind = 'tree') = (entries IS NOT NULL));

CREATE TABLE tree_packs (
  id         text PRIMARY KEY CHECK (id ~ '^[0-9a-f-]{36}$'),
  app        text NOT NULL REFERENCES applications (name),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tree_objects (
  app      text NOT NULL REFERENCES applications (name),
  digest   text COLLATE "C" NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  kind     text NOT NULL CHECK (kind IN ('object', 'file')),
  pack     text NOT NULL REFERENCES tree_packs (id),
  at       bigint NOT NULL CHECK (at >= 0),
  bytes    bigint NOT NULL CHECK (bytes >= 0),
  -- An artifact of the app names it, so everything below it is there, and named too.
  is_named boolean NOT NULL DEFAULT false,
  -- When somebody last sent it or asked for it; what nobody names goes some time after that.
  asked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app, digest)
);
CREATE INDEX tree_objects_pack ON tree_objects (pack);
CREATE INDEX tree_objects_unnamed ON tree_objects (asked_at) WHERE NOT is_named;
