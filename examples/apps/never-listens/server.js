// Lives, and listens on nothing.
setInterval(() => {}, 60_000)
