// A process that is booted before there is a release for it: Node, the preload and what most apps load of Node. With the
// order `become` it turns into the app, as if `node entry args` had been started.
'use strict'

const { resolve } = require('node:path')
const { useCompileCache } = require('./compile-cache.cjs')

/** Modules of Node that nearly every server loads, each a few milliseconds. */
const usual = [
  'http',
  'https',
  'crypto',
  'stream',
  'stream/promises',
  'url',
  'util',
  'fs/promises',
  'zlib',
  'querystring',
]

const nothing = 'data:text/javascript,0'

exports.installSpare = (control) => {
  control.hold()
  for (const name of usual) require(`node:${name}`)
  // The loader of ES modules is made when first asked for.
  const say = () => control.say({ say: 'spare' })
  import(nothing).then(say, say)
  control.on('become', ({ cwd, entry, args, env, command, compileCache }) => {
    process.chdir(cwd)
    for (const [name, value] of Object.entries(env)) process.env[name] = value
    process.argv.splice(1, process.argv.length, resolve(entry), ...args)
    // What ps shows; cut where the first command line was shorter.
    process.title = command
    control.letGo()
    if (compileCache) useCompileCache(compileCache, control)
    // What node does with the file of its command line: CommonJS, ES module or TypeScript, as the file is.
    require('node:module').runMain(resolve(entry))
  })
}
