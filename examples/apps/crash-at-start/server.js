// Ends before it listens, with a reason on stderr.
throw new Error('crash-at-start: DATABASE_URL is not set')
