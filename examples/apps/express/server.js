// Express, as CommonJS.
const { setTimeout: sleep } = require('node:timers/promises')
const express = require('express')
const { version } = require('./package.json')

const answer = `express ${version} ${process.pid}`
const app = express()

app.get('/', (request, response) => response.type('text').send(`${answer}\n`))
app.get('/slow', async (request, response) => {
  await sleep(Number(request.query.ms))
  response.type('text').send(`${answer}\n`)
})
app.get('/stream', async (request, response) => {
  for (let piece = 0; piece < 10; piece++) {
    response.write(`piece ${piece}\n`)
    await sleep(Number(request.query.ms) / 10)
  }
  response.end(`${answer}\n`)
})
app.post('/upload', express.raw({ type: () => true, limit: '10mb' }), (request, response) => {
  response.type('text').send(`${answer} ${request.body.length}\n`)
})

app.listen(process.env.PORT ?? 8080)
