// A process that is booted before there is a release for it, and warm (warm-up.cjs). With the order `become` it turns into the
// app, as if `node entry args` had been started.
'use strict'

const nodeModule = require('node:module')
const { resolve } = require('node:path')
const { useCompileCache } = require('./compile-cache.cjs')

exports.installSpare = (control) => {
  control.hold()
  control.say({ say: 'spare' })
  control.on('become', ({ cwd, entry, args, env, command, compileCache }) => {
    process.chdir(cwd)
    for (const [name, value] of Object.entries(env)) process.env[name] = value
    process.argv.splice(1, process.argv.length, resolve(entry), ...args)
    // What ps shows; cut where the first command line was shorter.
    process.title = command
    control.letGo()
    // What has been imported already is to be what was put in its place since, by a preload or by us.
    nodeModule.syncBuiltinESMExports()
    if (compileCache) useCompileCache(compileCache, control)
    // What node does with the file of its command line: CommonJS, ES module or TypeScript, as the file is.
    nodeModule.runMain(resolve(entry))
  })
}
