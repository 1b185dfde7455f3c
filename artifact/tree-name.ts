// Names and paths of a tree are bytes. In memory they are strings with one character a byte (latin1), whose order by `<` is
// the order of their bytes; a name of ASCII looks the same in both worlds, and every other one passes through here.
import { isAscii, isUtf8 } from 'node:buffer'

/** What the file system calls it: text where it is UTF-8, else its bytes. */
export function diskPath(path: string): string | Buffer {
  const bytes = Buffer.from(path, 'latin1')
  if (isAscii(bytes)) return path
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes
}

/** The text of a name; undefined where it is not UTF-8. */
export function textOf(name: string): string | undefined {
  const found = diskPath(name)
  return typeof found === 'string' ? found : undefined
}

/** From text, such as a path typed by a person, or bytes, such as a name that `readdir` gave. */
export function nameOf(name: string | Uint8Array): string {
  return (typeof name === 'string' ? Buffer.from(name, 'utf8') : Buffer.from(name)).toString('latin1')
}

/** The path of what lies in `folder`; '' is the root. */
export function pathBelow(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

/** For a message. */
export function showPath(path: string): string {
  const text = Buffer.from(path, 'latin1').toString('utf8')
  return JSON.stringify(text.length <= 120 ? text : `${text.slice(0, 120)}...`)
}
