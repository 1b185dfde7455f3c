-- What control keeps. The closed words are those of domain/model.ts and contract/control-api.ts; a test writes each of them.

CREATE DOMAIN digest AS text CHECK (VALUE ~ '^sha256:[0-9a-f]{64}$');

CREATE TABLE applications (
  name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public_keys (
  app        text NOT NULL REFERENCES applications (name),
  id         text NOT NULL CHECK (id ~ '^[0-9a-f]{16}$'),
  key        text NOT NULL CHECK (key ~ '^[0-9a-f]{64}$'),
  comment    text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app, id)
);

CREATE TABLE artifacts (
  seq         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  app         text NOT NULL REFERENCES applications (name),
  digest      digest NOT NULL,
  bytes       bigint NOT NULL CHECK (bytes >= 0),
  signature   text CHECK (signature ~ '^[0-9a-f]{128}$'),
  key_id      text,
  commit      text,
  uploaded_by text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app, digest),
  CONSTRAINT artifacts_key_fkey FOREIGN KEY (app, key_id) REFERENCES public_keys (app, id),
  CHECK ((signature IS NULL) = (key_id IS NULL))
);
CREATE INDEX artifacts_digest ON artifacts (digest);
CREATE INDEX artifacts_newest ON artifacts (app, seq DESC);

-- The digest is no foreign key: whoever may annotate the cluster may ask for an artifact that control has never seen.
CREATE TABLE deployments (
  seq                bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  id                 text PRIMARY KEY DEFAULT gen_random_uuid()::text,
  version            integer NOT NULL DEFAULT 1 CHECK (version > 0),
  app                text NOT NULL REFERENCES applications (name),
  namespace          text NOT NULL,
  environment        text NOT NULL,
  replicas           integer NOT NULL CHECK (replicas >= 0),
  dev_hot            boolean NOT NULL,
  port               integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
  ready_path         text,
  env                jsonb NOT NULL CHECK (jsonb_typeof(env) = 'object'),
  digest             digest NOT NULL,
  desired_status     text NOT NULL DEFAULT 'active' CHECK (desired_status IN ('active', 'stopped', 'rollback')),
  current_status     text NOT NULL DEFAULT 'pending'
                     CHECK (current_status IN ('pending', 'syncing', 'healthy', 'failed')),
  failure_reason     text,
  failure_message    text,
  is_applied         boolean NOT NULL DEFAULT false,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  last_transition_at timestamptz NOT NULL DEFAULT now(),
  digest_at          timestamptz NOT NULL DEFAULT now()
);
-- One app lives once in a namespace.
CREATE UNIQUE INDEX deployments_live ON deployments (namespace, app) WHERE desired_status <> 'stopped';
CREATE INDEX deployments_newest ON deployments (app, seq DESC);

CREATE TABLE deployment_events (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  deployment_id text NOT NULL REFERENCES deployments (id),
  action        text NOT NULL CHECK (action IN ('create', 'rollout', 'rollback', 'update', 'stop', 'status')),
  actor         text NOT NULL,
  from_digest   digest,
  to_digest     digest,
  status        text CHECK (status IN ('pending', 'syncing', 'healthy', 'failed')),
  reason        text,
  message       text,
  at            timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deployment_events_newest ON deployment_events (deployment_id, id DESC);

-- What each pod last said of itself.
CREATE TABLE deployment_reports (
  deployment_id text NOT NULL REFERENCES deployments (id),
  pod_uid       text NOT NULL,
  pod_name      text NOT NULL,
  digest        digest NOT NULL,
  outcome       text NOT NULL CHECK (outcome IN ('ok', 'fail')),
  serving       digest,
  reason        text,
  detail        text,
  message       text,
  ms            double precision CHECK (ms >= 0),
  at            timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, pod_uid)
);

-- Never a token, only its sha256. Those of agents (cluster/local) are of one app in one namespace.
CREATE TABLE api_tokens (
  sha256     text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  source     text NOT NULL CHECK (source IN ('configuration', 'agent')),
  role       text CHECK (role IN ('admin', 'deployer', 'uploader', 'reader')),
  user_name  text,
  namespace  text,
  app        text REFERENCES applications (name),
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz,
  CHECK (CASE source
    WHEN 'agent' THEN role IS NULL AND user_name IS NULL AND namespace IS NOT NULL AND app IS NOT NULL
    ELSE role IS NOT NULL AND user_name IS NOT NULL AND namespace IS NULL AND app IS NULL
  END)
);
CREATE UNIQUE INDEX api_tokens_agent ON api_tokens (namespace, app) WHERE source = 'agent' AND revoked_at IS NULL;

CREATE TABLE audit (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT now(),
  actor      text NOT NULL,
  role       text NOT NULL,
  action     text NOT NULL,
  subject    text NOT NULL,
  request_id text NOT NULL,
  outcome    text NOT NULL
);
CREATE INDEX audit_at ON audit (at);
