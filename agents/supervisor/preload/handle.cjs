// The handle below a server or socket. `_handle` is what net's documentation calls the underlying handle of listen(handle).
'use strict'

// oxlint-disable-next-line no-underscore-dangle -- there is no other name for it
exports.handleOf = (owner) => owner._handle
