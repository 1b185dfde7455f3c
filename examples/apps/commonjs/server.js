// node:http, as CommonJS.
const { createServer } = require('node:http')
const { version } = require('./package.json')

createServer((request, response) => response.end(`commonjs ${version} ${process.pid}\n`)).listen(
  process.env.PORT ?? 8080,
)
