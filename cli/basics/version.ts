// Held equal to package.json by a test, so that the bundle needs no file beside it.
export const version = '0.1.0'
