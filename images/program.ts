// A command as one file that a person can copy anywhere and start: it needs Node and nothing else.
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { build } from 'esbuild'
import { banner } from './bundle.ts'
import { lazyCommonJs } from './lazy-commonjs.ts'
import { bundledPackages, collectLicenses } from './licenses.ts'

/** Bundles `entry`, relative to `root`, into the executable `file`; the licences of what it holds are at its end. */
export async function bundleProgram(root: string, entry: string, file: string) {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outdir: root,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22.22',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'external',
    banner: { js: banner },
    plugins: [lazyCommonJs],
    metafile: true,
    write: false,
    logLevel: 'error',
  })
  const code = outputFiles.find(({ path }) => path.endsWith('.js'))
  if (code === undefined) throw new Error(`${entry} gives no code`)
  const comments = outputFiles.filter(({ path }) => path.endsWith('.LEGAL.txt')).map(({ text }) => text)
  const licenses = (await collectLicenses(root, metafile, comments)).replaceAll('*/', '* /')
  await mkdir(dirname(file), { recursive: true })
  // A file without extension is an ES module by its syntax: https://nodejs.org/api/packages.html#syntax-detection
  const text = `#!/usr/bin/env node\n${code.text.replace(/^#!.*\n/, '')}/*\n${licenses}*/\n`
  await writeFile(`${file}.part`, text)
  await chmod(`${file}.part`, 0o755)
  await rename(`${file}.part`, file)
  const packages = await bundledPackages(root, Object.values(metafile.outputs))
  return { file, bytes: (await stat(file)).size, packages }
}
